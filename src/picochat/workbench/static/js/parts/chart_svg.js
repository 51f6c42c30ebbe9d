// A chart as SVG text: built as nodes and written by the browser, so no text of a run is ever markup.
import { dashOf, placeText, placesOf, valueText } from "./chart_model.js";

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [760, 420];
const [LEFT, RIGHT, TOP, BOTTOM] = [72, 100, 34, 40];
const TICKS = 5;

function node(name, attributes = {}, text = null) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  return made;
}

/** The drawing of a view, with title and description. */
export function drawSvg(view, title, told, colours) {
  const root = node("svg", { xmlns: SPACE, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "font-family": "sans-serif", "font-size": 11 });
  root.append(node("title", {}, title), node("desc", {}, told));
  root.append(node("rect", { width: WIDTH, height: HEIGHT, fill: colours.surface }));
  root.append(node("text", { x: 8, y: 20, fill: colours.text, "font-size": 14 }, `${title}, ${view.unit}`));
  if (view.yRange) {
    const x = scale(view.xRange, view.log.x, LEFT, WIDTH - RIGHT);
    const y = scale(view.yRange, view.log.y, HEIGHT - BOTTOM, TOP);
    root.append(...grid(view, x, y, colours));
    for (const entry of view.drawn) root.append(...lines(entry, x, y, colours));
    for (const seam of view.seams.filter((one) => one.x !== null)) {
      root.append(node("line", { x1: x(seam.x), x2: x(seam.x), y1: TOP, y2: HEIGHT - BOTTOM, stroke: colours.warn, "stroke-dasharray": "4 3" }));
      root.append(node("text", { x: x(seam.x) + 3, y: TOP + 10, fill: colours.warn }, `attempt ${seam.attempt}`));
    }
  }
  return new XMLSerializer().serializeToString(root);
}

function scale([low, high], logarithmic, from, to) {
  const bend = logarithmic ? Math.log : (value) => value;
  const [begin, end] = [bend(low), bend(high)];
  return (value) => Math.round((from + ((bend(value) - begin) / (end - begin || 1)) * (to - from)) * 10) / 10;
}

function ticksOf([low, high], logarithmic) {
  return Array.from({ length: TICKS + 1 }, (_, n) => (logarithmic ? low * (high / low) ** (n / TICKS) : low + ((high - low) * n) / TICKS));
}

function grid(view, x, y, colours) {
  const found = [];
  for (const value of ticksOf(view.yRange, view.log.y)) {
    found.push(node("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), stroke: colours.line }));
    found.push(node("text", { x: LEFT - 6, y: y(value) + 4, fill: colours.muted, "text-anchor": "end" }, valueText(view.unit, value)));
  }
  for (const value of ticksOf(view.xRange, view.log.x)) {
    found.push(node("text", { x: x(value), y: HEIGHT - BOTTOM + 16, fill: colours.muted, "text-anchor": "middle" }, placeText(view.axis, value)));
  }
  found.push(node("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, fill: colours.muted, "text-anchor": "middle" }, view.axis.label));
  return found;
}

function lines({ series, hue }, x, y, colours) {
  const places = placesOf(series);
  const colour = colours.series[hue % colours.series.length];
  const path = (values, begin, end, extra) => {
    const points = [];
    for (let place = begin; place < end; place += 1) if (values[place] !== null) points.push(`${x(places[place])},${y(values[place])}`);
    return node("polyline", { points: points.join(" "), fill: "none", stroke: colour, ...extra });
  };
  const found = [];
  for (const { begin, end, tail } of series.attempts) {
    const cut = tail ?? end;
    if (series.smooth) found.push(path(series.last, begin, end, { "stroke-opacity": 0.25 }));
    found.push(path(series.smooth ?? series.last, begin, cut, { "stroke-width": 1.6, "stroke-dasharray": dashOf(hue).join(" ") || "none" }));
    if (cut < end) found.push(path(series.smooth ?? series.last, Math.max(begin, cut - 1), end, { "stroke-opacity": 0.55, "stroke-dasharray": "3 3" }));
    if (series.min) {
      for (let place = begin; place < end; place += 1) {
        if (series.max[place] > series.min[place]) {
          found.push(node("line", { x1: x(places[place]), x2: x(places[place]), y1: y(series.min[place]), y2: y(series.max[place]), stroke: colour, "stroke-opacity": 0.35 }));
        }
      }
    }
  }
  const last = series.step.length - 1;
  found.push(node("text", { x: x(places[last]) + 6, y: y((series.smooth ?? series.last)[last]) + 4, fill: colour }, series.label));
  return found;
}
