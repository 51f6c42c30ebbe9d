// Parts of the evaluation page: text of a run, rates with their intervals, the state of an artifact.
import { integer, percent } from "../format.js";
import { html, useState } from "../html.js";
import { Empty, Partial, Stale } from "../parts/states.js";

const FOLD_CHARS = 400;
const FOLD_LINES = 10;
const VERIFY = "its numbers are those of the file, and nobody vouches for them; picochat verify names the difference";

/** Text of a model, a row or a file: a text node, whatever stands in it. Long text is folded. */
export function Text({ value, fold = FOLD_CHARS }) {
  const [open, setOpen] = useState(false);
  const text = value ?? "";
  if (text === "") return html`<span class="muted">(empty)</span>`;
  const lines = text.split("\n");
  const long = text.length > fold || lines.length > FOLD_LINES;
  const shown = !long || open ? text : lines.slice(0, FOLD_LINES).join("\n").slice(0, fold);
  const label = open ? "show less" : `show all ${integer(text.length)} characters`;
  return html`<span class="ev-run-text" dir="auto">${shown}${long && !open && "…"}</span>${long && html` <button
    type="button" class="copy ev-fold" aria-expanded=${open} onClick=${() => setOpen(!open)}>${label}</button>`}`;
}

/** `79.4 – 89.3 %`, the 95 % interval of a rate. */
export function interval(pair) {
  return pair ? `${percent(pair[0]).replace(" %", "")} – ${percent(pair[1])}` : "—";
}

/** A rate with what it is a share of and its interval; a dash for what was not measured. */
export function Rate({ of: found }) {
  if (!found) return "—";
  const share = found.n === null || found.n === undefined ? "" : `of ${integer(found.n)} · `;
  return html`<span class="ev-rate"><span class="ev-figure">${percent(found.rate)}</span>
    <span class="small muted">${share}${interval(found.interval)}</span></span>`;
}

/** A bar from 0 to 1 with its interval as a line over it; the same stands beside it in words. */
export function Bar({ of: { rate, interval: pair }, series = 0 }) {
  const at = (value) => `${(Math.min(1, Math.max(0, value)) * 100).toFixed(2)}%`;
  const tick = (value) => html`<line class="whisker" x1=${at(value)} x2=${at(value)} y1="3" y2="11" />`;
  return html`<svg class=${`ev-rate-bar series-${series}`} height="14" aria-hidden="true" focusable="false">
    <rect class="ground" x="0" y="3" width="100%" height="8" rx="2" />
    <rect class="value" x="0" y="3" width=${at(rate)} height="8" rx="2" />
    ${pair && html`<line class="whisker" x1=${at(pair[0])} x2=${at(pair[1])} y1="7" y2="7" />${pair.map(tick)}`}
  </svg>`;
}

const TONES = {
  pass: ["✓", "pass"], fail: ["✕", "block"], flipped: ["⇄", "warn"],
  verified: ["✓", "pass"], partial: ["!", "warn"], stale: ["⟳", "stale"], attached: ["⊕", "warn"],
  broken: ["✕", "block"], "not run": ["○", "neutral"],
};

/** Sign, word and colour of a verdict on a row, or of where a run stands with a benchmark. */
export function Word({ value, note = null }) {
  const [sign, tone] = TONES[value] ?? ["○", "neutral"];
  return html`<span class="ev-word"><span class=${`badge ${tone}`}><span class="sign" aria-hidden="true">${sign}</span>${
    value ?? "no verdict"}${note && html`<span class="note"> ${note}</span>`}</span></span>`;
}

/** A fault that a text was marked for. */
export function Mark({ text }) {
  return html`<span class="badge warn"><span class="sign" aria-hidden="true">!</span>${text}</span>`;
}

/** A file that is there and cannot be read. */
export function Unreadable({ artifact, why }) {
  return html`<div class="state problem">
    <p class="state-title"><span class="sign" aria-hidden="true">✕</span> ${artifact} cannot be read</p><p>${why}</p></div>`;
}

/** What is to be known about the file that numbers come from; its children are drawn where it has numbers at all. */
export function Source({ of: { artifact, state, why }, what, todo = null, command = null, children = null }) {
  if (state === "missing") {
    return html`<${Empty} what=${what} do=${todo ?? `There is no ${artifact} yet.`} command=${command} />`;
  }
  if (state === "unreadable") return html`<${Unreadable} artifact=${artifact} why=${why} />`;
  return html`${state === "stale" && html`<${Stale} why=${`${artifact}: ${why}`} />`}
    ${state === "changed" && html`<${Partial} what=${`${artifact} was changed after it was written`} why=${VERIFY} />`}
    ${children}`;
}
