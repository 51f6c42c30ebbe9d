// The point under the cursor in words: step, tokens, time, raw and smoothed value of each series. Never hover alone:
// without a cursor it is the pinned point, and without that the last one.
import { html } from "../html.js";
import { count, duration, integer } from "../format.js";
import { CopyButton } from "./command.js";
import { pinned, pointOf, togglePin } from "./chart_cursor.js";
import { attemptAt, nearestToStep, placeText, placesOf, tsvOf, valueText } from "./chart_model.js";

/** One line below the plot. */
export function Readout({ view, group }) {
  if (view.drawn.length === 0) return null;
  const at = pointOf(group);
  const list = view.drawn.map(({ series }) => series);
  const lead = list[0];
  const place = at ? nearestToStep(lead, at.step, at.attempt) : lead.step.length - 1;
  const shown = at ?? { group, step: lead.step[place], attempt: attemptAt(lead, place).attempt };
  const isPinned = pinned.value?.group === group && (!at || at.step === pinned.value.step);
  const { attempt, repeated } = attemptAt(lead, place);
  return html`<div class="readout" data-step=${lead.step[place]}>
    <dl>
      <div><dt>${at ? (isPinned ? "pinned" : "at") : "last"}</dt><dd>step ${integer(lead.step[place])}</dd></div>
      ${view.axis.name !== "step" && html`<div><dt>${view.axis.label}</dt><dd class="at-x">${placeText(view.axis, placesOf(lead)[place])}</dd></div>`}
      <div><dt>tokens</dt><dd>${count(lead.tokens[place])}</dd></div>
      <div><dt>time</dt><dd>${duration(lead.wall_s[place])}</dd></div>
      ${lead.attempts.length > 1 && html`<div><dt>attempt</dt><dd>${attempt}${repeated && ", repeated later"}</dd></div>`}
      ${view.drawn.map(({ series, hue }) => html`<div key=${series.key} class=${`s${hue % 8}`}>
        <dt>${series.label}</dt><dd data-key=${series.key}>${pointText(series, shown)}</dd></div>`)}
    </dl>
    ${isPinned && html`<${CopyButton} label="Copy row" what="Row copied" text=${() => tsvOf(list, view.axis, shown)} />
      <button type="button" class="copy" onClick=${() => togglePin(pinned.value)}>Let go</button>`}
  </div>`;
}

function pointText(series, at) {
  const place = nearestToStep(series, at.step, at.attempt);
  const value = valueText(series.unit, series.last[place]);
  const beside = series.step[place] === at.step ? "" : ` at ${integer(series.step[place])}`;
  const range = series.min && series.max[place] > series.min[place]
    ? ` (${valueText(series.unit, series.min[place])} to ${valueText(series.unit, series.max[place])})` : "";
  return `${value}${range}${series.smooth ? `, smoothed ${valueText(series.unit, series.smooth[place])}` : ""}${beside}`;
}

/** The same for a screen reader, after a key. */
export function spoken(view, active, place, isPinned) {
  const { series } = view.drawn[active];
  const { attempt, repeated } = attemptAt(series, place);
  const words = [
    series.label,
    valueText(series.unit, series.last[place]),
    series.smooth ? `smoothed ${valueText(series.unit, series.smooth[place])}` : null,
    `step ${integer(series.step[place])}`,
    view.axis.name === "step" ? null : `${view.axis.label} ${placeText(view.axis, placesOf(series)[place])}`,
    series.attempts.length > 1 ? `attempt ${attempt}${repeated ? ", repeated later" : ""}` : null,
    isPinned ? "pinned" : null,
  ];
  return words.filter(Boolean).join(", ");
}
