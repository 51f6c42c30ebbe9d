// One uPlot: axes, scales, dragging and redrawing. It is made once; new points are set, so nothing flickers.
import uPlot from "../../vendor/uplot.js";
import { effect } from "../html.js";
import { colours } from "./chart_colours.js";
import { drawChart } from "./chart_draw.js";
import { placeText, placesOf, valueText } from "./chart_model.js";

const DRAG_PX = 6;
const FOOT_PX = 16;
const NEAR_PX = 8;
const LETTER_PX = 6.3;
const MOST_LABEL_PX = 110;
const LEAST_AXIS_PX = 40;
const NARROW_PX = 440;

export class Plot {
  /** `host` is an empty element; `act` has `zoom(from, to)`, `point(x)`, `leave()`, `click(x)` and `mark(mark)`. */
  constructor(host, view, act) {
    this.host = host;
    this.view = view;
    this.act = act;
    this.plot = new uPlot(this.options(), this.data(), host);
    this.listen();
    this.resizing = new ResizeObserver(() => this.resize());
    this.resizing.observe(host);
    this.recolouring = effect(() => {
      colours.value;
      this.plot.redraw(false);
    });
    host.dataset.drawn = String(this.drawn());
  }

  /** Shows another view of the same axes. */
  update(view) {
    this.view = view;
    this.plot.setData(this.data());
    this.host.dataset.drawn = String(this.drawn());
  }

  /** Points that are drawn: what a test counts. */
  drawn() {
    return this.view.drawn.reduce((sum, { series }) => sum + series.step.length, 0);
  }

  destroy() {
    this.resizing.disconnect();
    this.recolouring();
    this.plot.destroy();
  }

  /** Pixels from the left edge of the plot of a place on x. */
  left(x) {
    return this.plot.valToPos(x, "x");
  }

  /** Pixels from its top of a value. */
  top(y) {
    return this.plot.valToPos(y, "y");
  }

  get over() {
    return this.plot.over;
  }

  get canvas() {
    return this.plot.ctx.canvas;
  }

  size() {
    const width = Math.max(120, this.host.clientWidth);
    return { width, height: this.view.height };
  }

  resize() {
    const { width, height } = this.size();
    if (width !== this.plot.width || height !== this.plot.height) this.plot.setSize({ width, height });
  }

  // uPlot gets the places alone: it finds ticks and scales with them, the lines are drawn by chart_draw.
  data() {
    const points = new Map();
    for (const { series } of this.view.drawn) placesOf(series).forEach((x, place) => points.set(x, series.last[place]));
    const sorted = [...points.keys()].sort((a, b) => a - b);
    return sorted.length ? [sorted, sorted.map((x) => points.get(x))] : [[this.view.xRange[0], this.view.xRange[1]], [null, null]];
  }

  options() {
    const { axis, unit, log, compact } = this.view;
    const ink = () => colours.value.muted;
    const grid = { stroke: () => colours.value.line, width: 1 };
    const common = { stroke: ink, grid, ticks: grid, font: colours.value.font };
    return {
      ...this.size(),
      legend: { show: false },
      padding: [10, () => this.labelWidth(), 0, 0],
      cursor: { show: true, x: false, y: false, points: { show: false }, drag: { x: true, y: false, setScale: false }, focus: { prox: -1 } },
      scales: {
        x: { time: false, distr: log.x ? 3 : 1, range: () => this.view.xRange },
        y: { distr: log.y ? 3 : 1, range: () => this.view.yRange ?? [0.1, 1] },
      },
      axes: [
        { ...common, size: 30, space: compact ? 90 : 70, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : placeText(axis, tick))) },
        { ...common, size: (_, texts) => Math.max(LEAST_AXIS_PX, 16 + LETTER_PX * Math.max(0, ...(texts ?? []).map((text) => text.length))), space: compact ? 34 : 40, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : valueText(unit, tick))) },
      ],
      series: [{}, { stroke: "transparent", paths: () => null, points: { show: false } }],
      hooks: {
        draw: [(plot) => drawChart(plot, this.view, colours.value)],
        setSelect: [(plot) => this.selected(plot)],
      },
    };
  }

  // Room for the names at the ends of the lines.
  labelWidth() {
    // Where it is narrow the names stand within the plot, above their ends.
    this.view.inside = this.host.clientWidth < NARROW_PX;
    if (this.view.inside) return 12;
    const longest = this.view.labelled ? Math.max(0, ...this.view.drawn.map(({ series }) => series.label.length)) : 0;
    return 12 + Math.min(MOST_LABEL_PX, longest * LETTER_PX);
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < DRAG_PX) return;
    const limits = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.act.zoom(...limits);
  }

  listen() {
    const { over } = this.plot;
    let pressed = 0;
    const at = (event) => this.plot.posToVal(event.clientX - over.getBoundingClientRect().left, "x");
    over.addEventListener("pointermove", (event) => this.act.point(at(event)));
    over.addEventListener("pointerleave", () => this.act.leave());
    over.addEventListener("pointerdown", (event) => (pressed = event.clientX));
    over.addEventListener("click", (event) => {
      if (Math.abs(event.clientX - pressed) >= DRAG_PX) return;
      const mark = this.markAt(event);
      if (mark) this.act.mark(mark);
      else this.act.click(at(event));
    });
  }

  // The event whose sign at the foot of the plot was hit.
  markAt(event) {
    const { left, bottom } = this.plot.over.getBoundingClientRect();
    if (bottom - event.clientY > FOOT_PX) return null;
    const reach = ({ x }) => Math.abs(this.left(x) + left - event.clientX);
    const near = this.view.marks.filter((mark) => mark.x !== null && reach(mark) <= NEAR_PX);
    return near.sort((a, b) => reach(a) - reach(b))[0] ?? null;
  }
}
