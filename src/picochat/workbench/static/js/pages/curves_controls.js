// What all charts of the page share: axis, logarithms, smoothing, zoom, outliers, lines and marks. All of it in the hash.
import { html, useEffect, useState } from "../html.js";
import { setQuery } from "../router.js";
import { placeText } from "../parts/chart_model.js";

const SMOOTH = "0.6";
const MOST_SMOOTH = 0.9999;
const AXES = [["step", "step"], ["tokens", "tokens seen"], ["flops", "FLOPs"], ["wall", "wall time"], ["active", "active time"], ["epoch", "epoch"]];
const WAIT_MS = 150;

/** What a hash says of the view; whatever is no number or no axis is as if it were not there. */
export function viewOf(query) {
  const number = (text) => (text !== undefined && text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);
  const smooth = number(query.smooth ?? SMOOTH) ?? 0;
  return {
    x: AXES.some(([key]) => key === query.x) ? query.x : "step",
    smooth: Math.min(Math.max(smooth, 0), MOST_SMOOTH),
    log: `${query.logx === "1" ? "x" : ""}${query.logy === "1" ? "y" : ""}`,
    from: number(query.from),
    to: number(query.to),
    outliers: query.outliers !== "0",
  };
}

/** `about`: an answer of `…/series`, for the axes that there are and how far they go; null as long as it is not there. */
export function Controls({ query, about }) {
  const view = viewOf(query);
  const available = about?.axis.available ?? AXES.map(([key]) => key);
  const flag = (key, on) => (event) => setQuery({ [key]: event.currentTarget.checked === (on === "1") ? on : null });
  return html`<form class="controls curve-controls" onSubmit=${(event) => event.preventDefault()} aria-label="View of the curves">
    <label class="inline">x axis <select value=${view.x} onChange=${(event) => setQuery({ x: event.currentTarget.value, from: null, to: null })}>
      ${AXES.map(([key, title]) => html`<option key=${key} value=${key} disabled=${!available.includes(key)} selected=${key === view.x}>${title}</option>`)}
    </select></label>
    <label class="switch"><input type="checkbox" checked=${query.logx === "1"} onChange=${flag("logx", "1")} /> log x</label>
    <label class="switch"><input type="checkbox" checked=${query.logy === "1"} onChange=${flag("logy", "1")} /> log y</label>
    <label class="switch"><input type="checkbox" checked=${view.outliers} onChange=${flag("outliers", "0")} /> outliers</label>
    <label class="switch"><input type="checkbox" checked=${query.refs !== "0"} onChange=${flag("refs", "0")} /> reference lines</label>
    <label class="switch"><input type="checkbox" checked=${query.events !== "0"} onChange=${flag("events", "0")} /> events</label>
    <${Smoothing} value=${view.smooth} />
    <${Zoom} view=${view} about=${about} />
  </form>`;
}

/** Slider and number of one value: the weight that a point keeps at the next one. */
function Smoothing({ value }) {
  const [shown, show] = useState(value);
  useEffect(() => show(value), [value]);
  useEffect(() => {
    if (shown === value) return undefined;
    const timer = setTimeout(() => setQuery({ smooth: shown }), WAIT_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  const take = (event) => {
    const next = Number(event.currentTarget.value);
    if (event.currentTarget.value !== "" && Number.isFinite(next)) show(Math.min(Math.max(next, 0), MOST_SMOOTH));
  };
  return html`<span class="inline" role="group" aria-label="Smoothing">
    <label class="inline">smoothing <input type="range" min="0" max="0.999" step="0.001" value=${shown} onInput=${take} /></label>
    <input class="short" type="number" aria-label="Smoothing as a number" min="0" max=${MOST_SMOOTH} step="any" value=${shown} onChange=${take} />
  </span>`;
}

/** Zoom without dragging: a step in, out, left, right, the whole, and two fields. */
function Zoom({ view, about }) {
  const span = about?.axis.name === view.x ? about.span : null;
  const low = view.from ?? span?.from ?? null;
  const high = view.to ?? span?.to ?? null;
  const known = low !== null && high !== null;
  const set = (from, to) => setQuery({ from: Number(from.toPrecision(9)), to: Number(to.toPrecision(9)) });
  const by = (grow, shift) => () => {
    const [middle, half] = [(low + high) / 2 + shift * (high - low), ((high - low) / 2) * grow];
    set(middle - half, middle + half);
  };
  const field = (key) => (event) => {
    const text = event.currentTarget.value.trim();
    setQuery({ [key]: text !== "" && Number.isFinite(Number(text)) ? Number(text) : null });
  };
  const title = about && known ? `${placeText(about.axis, low)} to ${placeText(about.axis, high)}` : "";
  return html`<span class="inline zoom" role="group" aria-label="Zoom">
    <button type="button" disabled=${!known} onClick=${by(0.5, 0)}>Zoom in</button>
    <button type="button" disabled=${!known} onClick=${by(2, 0)}>Zoom out</button>
    <button type="button" disabled=${!known} onClick=${by(1, -0.25)}><span aria-hidden="true">←</span><span class="unseen">Earlier</span></button>
    <button type="button" disabled=${!known} onClick=${by(1, 0.25)}><span aria-hidden="true">→</span><span class="unseen">Later</span></button>
    <button type="button" disabled=${view.from === null && view.to === null} onClick=${() => setQuery({ from: null, to: null })}>Whole</button>
    <label class="inline">from <input class="number" inputmode="decimal" value=${view.from ?? ""} placeholder=${span ? String(span.from) : ""} onChange=${field("from")} /></label>
    <label class="inline">to <input class="number" inputmode="decimal" value=${view.to ?? ""} placeholder=${span ? String(span.to) : ""} onChange=${field("to")} /></label>
    <span class="muted small">${title}</span>
  </span>`;
}
