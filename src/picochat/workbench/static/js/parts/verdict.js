// Verdicts and states of runs: sign, word and colour always together. Only a pass is green.
import { html } from "../html.js";

const VERDICTS = {
  pass: ["✓", "pass", "pass"],
  warn: ["!", "warn", "warn"],
  block: ["✕", "block", "block"],
  not_run: ["○", "not run", "neutral"],
  waived: ["⊘", "waived", "waived"],
  approved: ["✓", "approved", "pass"],
  blocked: ["✕", "blocked", "block"],
  stale: ["⟳", "stale", "stale"],
};

const STATES = {
  running: ["▶", "running", "active"],
  stalled: ["◔", "stalled", "warn"],
  crashed: ["✕", "crashed", "block"],
  stopped: ["□", "stopped", "neutral"],
  finished: ["■", "finished", "neutral"],
  failed: ["✕", "failed", "block"],
  blocked: ["✕", "blocked", "block"],
  unreadable: ["?", "unreadable", "warn"],
  unknown: ["–", "unknown", "neutral"],
};

/** `value` as in a check result or a gate; `note` stands behind the word. Unknown is a dash, never a pass. */
export function Verdict({ value, note = null }) {
  return badge(VERDICTS[value] ?? ["—", value ? String(value).replaceAll("_", " ") : "no verdict", "neutral"], note);
}

/** What a run is doing, or how it ended. */
export function RunState({ value, note = null }) {
  return badge(STATES[value] ?? ["–", value ? String(value) : "unknown", "neutral"], note);
}

function badge([sign, word, tone], note) {
  return html`<span class=${`badge ${tone}`}>
    <span class="sign" aria-hidden="true">${sign}</span>${word}${note && html`<span class="note"> ${note}</span>`}
  </span>`;
}
