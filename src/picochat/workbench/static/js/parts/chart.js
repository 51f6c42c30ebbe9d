// A chart: figure with heading, a sentence made from the data, the plot, its legend, the point under the cursor, a table.
// Whatever a mouse does here a keyboard does too.
import { html, useEffect, useId, useMemo, useRef, useState } from "../html.js";
import { cursor, pinned, pointOf, togglePin } from "./chart_cursor.js";
import { ChartExport } from "./chart_export.js";
import { Legend } from "./chart_legend.js";
import { attemptAt, countText, nearestTo, nearestToStep, placesOf, rangeOf, sentenceOf } from "./chart_model.js";
import { Plot } from "./chart_plot.js";
import { Readout } from "./chart_readout.js";
import { ChartTable } from "./chart_table.js";
import { keyAction } from "./chart_keys.js";

const HEIGHT = 260;
const COMPACT = 132;
const NO_LOG = { x: false, y: false };

/**
 * `series`: as `GET …/series` answers them, in one `axis` and one `unit`. `seams`, `markers`, `references` as their
 * routes answer them. `window` is `{from, to}` of x, null for no limit; `onZoom({from, to})` is told of a drag,
 * `onMark(marker)` of a click on one of them.
 * `group` names the charts that share a cursor. `hidden` (a Set of keys) and `onHide(keys)` keep the legend outside;
 * `source` (`{csv, name}`) adds the export; `compact` leaves everything but heading, plot and sentence away.
 */
export function Chart(props) {
  const { title, series, axis, unit, group = title, compact = false } = props;
  const none = series.every(({ points }) => points.usable === 0);
  const empty = none ? props.unknown ?? "no value is known" : props.empty ?? "no point in this window";
  const id = useId();
  const [own, setOwn] = useState(new Set());
  const hidden = props.hidden ?? own;
  const hide = props.onHide ?? setOwn;
  const view = useMemo(() => viewOf(props, hidden), [series, axis, props.window, props.span, props.seams, props.markers,
    props.references, props.outliers, props.log, [...hidden].join()]);
  const [plot, setPlot] = useState(null);
  const [active, setActive] = useState(0);
  const [words, say] = useState("");
  const [tabled, showTable] = useState(false);
  const act = actions(view, active, group, props.onZoom, props.onMark);
  const onKey = (event) => keyAction(event, { view, active, setActive, group, say });
  const told = series.map(sentenceOf).join(" ");
  return html`<figure class=${compact ? "chart compact" : "chart"} aria-labelledby=${`${id}-title`} data-chart=${props.name ?? title}>
    <div class="chart-head">
      <${props.level ?? "h3"} id=${`${id}-title`}>${title} <span class="chart-unit">${unit}</span><//>
      ${!compact && html`<p class="chart-count">${counts(series)}</p>`}
    </div>
    ${!compact && html`<${Legend} series=${series} hidden=${hidden} onHide=${hide} active=${view.drawn[active]?.series.key} />`}
    ${view.drawn.length === 0 && html`<p class="chart-empty">${empty}</p>`}
    <div class="chart-area" tabindex=${compact ? null : 0} role=${compact ? "img" : "application"}
      aria-roledescription=${compact ? null : "chart"} aria-label=${`${title}, ${unit} over ${axis.label}`}
      aria-describedby=${`${id}-told`} onKeyDown=${compact ? null : onKey}
      onBlur=${compact ? null : () => say("")}>
      ${series.some(({ points }) => points.usable > 0) && html`<${Canvas} view=${view} act=${act} group=${group} compact=${compact} onPlot=${setPlot} />`}
    </div>
    ${!compact && html`<p class="unseen" role="status" aria-live="polite">${words}</p>
      <${Readout} view=${view} group=${group} />`}
    <figcaption id=${`${id}-told`}>${told}${seamText(view.seams)}</figcaption>
    ${!compact && html`<div class="chart-tools">
      <button type="button" aria-expanded=${tabled} onClick=${() => showTable(!tabled)}>Show as table</button>
      ${props.source && html`<${ChartExport} plot=${plot} view=${view} title=${title} source=${props.source} told=${told} />`}
    </div>
    ${tabled && html`<${ChartTable} title=${title} series=${series} axis=${axis} />`}`}
  </figure>`;
}

function counts(series) {
  const told = series.filter(({ points }) => points.all > 0);
  return told.map((one) => `${told.length > 1 ? `${one.label}: ` : ""}${countText(one)}`).join("; ");
}

function seamText(seams) {
  return seams.map(({ reason }) => ` Seam: ${reason}.`).join("");
}

/** What is drawn: visible series with their hue, ranges, and what lies beside them. */
function viewOf(props, hidden) {
  const { series, axis, unit, compact = false, log = NO_LOG, outliers = true } = props;
  const drawn = series.map((one, hue) => ({ series: one, hue: (props.hue ?? 0) + hue }))
    .filter(({ series: one }) => one.step.length > 0 && !hidden.has(one.key));
  const keys = new Set(drawn.map(({ series: one }) => one.key));
  const references = (props.references ?? []).filter((line) => line.axis === "x" || line.keys.some((key) => keys.has(key)));
  const ends = drawn.flatMap(({ series: one }) => [Math.min(...placesOf(one)), Math.max(...placesOf(one))]);
  const span = props.span ?? (ends.length ? { from: Math.min(...ends), to: Math.max(...ends) } : { from: 0, to: 1 });
  return {
    axis, unit, log, drawn, references, compact,
    labelled: !compact && drawn.length > 0,
    height: props.height ?? (compact ? COMPACT : HEIGHT),
    xRange: spread(span, props.window, log.x),
    yRange: rangeOf(drawn, { outliers, logarithmic: log.y }),
    seams: props.seams ?? [],
    marks: props.markers ?? [],
  };
}

// A window is as it was asked for; the whole gets a margin, so that its first and last point are not cut.
function spread(span, window, logarithmic) {
  const [from, to] = [window?.from ?? span.from, window?.to ?? span.to];
  const margin = (to - from) * 0.015 || Math.abs(from) * 0.1 || 1;
  if (logarithmic) {
    const [low, factor] = [Math.max(from, span.from), to > from ? (to / Math.max(from, span.from)) ** 0.015 : 1.2];
    return [window?.from > 0 ? window.from : low / factor, window?.to > low ? window.to : Math.max(to, low) * factor];
  }
  return [window?.from ?? from - margin, window?.to ?? to + margin];
}

// The plot itself: made again only when the kind of an axis changes.
function Canvas({ view, act, group, compact, onPlot }) {
  const host = useRef(null);
  const plot = useRef(null);
  const acting = useRef(act);
  acting.current = act;
  const made = [view.axis.name, view.unit, view.log.x, view.log.y, view.labelled].join(" ");
  useEffect(() => {
    const through = Object.fromEntries(["zoom", "point", "leave", "click", "mark"].map((name) => [name, (...at) => acting.current[name](...at)]));
    plot.current = new Plot(host.current, view, through);
    onPlot(plot.current);
    return () => {
      plot.current.destroy();
      plot.current = null;
    };
  }, [made]);
  useEffect(() => plot.current?.view !== view && plot.current?.update(view), [view]);
  return html`<div class="chart-host" ref=${host}></div>${!compact && html`<${CursorLine} plot=${plot} view=${view} group=${group} />`}`;
}

/** The line of the shared cursor and a dot on each series. */
function CursorLine({ plot, view, group }) {
  const at = pointOf(group);
  const layer = useRef(null);
  useEffect(() => {
    if (!plot.current) return;
    if (layer.current === null) {
      layer.current = document.createElement("div");
      layer.current.className = "chart-cursor";
    }
    if (layer.current.parentNode !== plot.current.over) plot.current.over.append(layer.current);
    const first = at && view.drawn[0]?.series;
    const place = first ? nearestToStep(first, at.step, at.attempt) : -1;
    layer.current.hidden = place < 0;
    if (place >= 0) layer.current.style.transform = `translateX(${plot.current.left(placesOf(first)[place])}px)`;
    layer.current.classList.toggle("pinned", at !== null && at === pinned.value);
  });
  return null;
}

function actions(view, active, group, onZoom, onMark) {
  const pointAt = (x) => {
    const series = view.drawn[active]?.series ?? view.drawn[0]?.series;
    if (!series) return null;
    const place = nearestTo(series, x);
    return { group, step: series.step[place], attempt: attemptAt(series, place).attempt };
  };
  return {
    zoom: (from, to) => onZoom?.({ from, to }),
    point: (x) => {
      const at = pointAt(x);
      if (at?.step !== cursor.value?.step || at?.attempt !== cursor.value?.attempt || cursor.value?.group !== group) cursor.value = at;
    },
    leave: () => (cursor.value = null),
    click: (x) => {
      const at = pointAt(x);
      if (at) togglePin(at);
    },
    mark: (mark) => onMark?.(mark),
  };
}
