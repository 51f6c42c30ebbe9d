// The legend: each series can be hidden, or shown alone. Colour, dash and name say the same thing.
import { html } from "../html.js";
import { dashOf } from "./chart_model.js";

/** `hidden` is a Set of keys; `onHide(Set)` is told what is hidden now. */
export function Legend({ series, hidden, onHide, active }) {
  const shown = series.filter(({ step }) => step.length > 0);
  if (shown.length < 2) return null;
  const toggle = (key) => {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    onHide(next);
  };
  const alone = (key) => {
    const others = shown.map((one) => one.key).filter((other) => other !== key);
    const isAlone = !hidden.has(key) && others.every((other) => hidden.has(other));
    onHide(new Set(isAlone ? [] : others));
  };
  return html`<ul class="legend" aria-label="Series">
    ${series.map((one, hue) => one.step.length > 0 && html`<li key=${one.key}>
      <button type="button" class=${`quiet swatch s${hue % 8}${one.key === active ? " active" : ""}`}
        aria-pressed=${!hidden.has(one.key)} onClick=${() => toggle(one.key)}>
        <svg width="26" height="10" aria-hidden="true"><line x1="1" x2="25" y1="5" y2="5" stroke="currentColor"
          stroke-width="2.5" stroke-dasharray=${dashOf(hue).join(" ") || null} /></svg>
        <span class="name">${one.label}</span></button>
      ${shown.length > 1 && html`<button type="button" class="quiet only" onClick=${() => alone(one.key)}>only<span
        class="unseen"> ${one.label}</span></button>`}
    </li>`)}
  </ul>`;
}
