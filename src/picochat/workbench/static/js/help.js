// The one place for help: keys, signs, and the commands that say the same without a browser.
import { html } from "./html.js";
import { KEYS } from "./keys.js";
import { pageKeys, shortcuts } from "./store.js";
import { Command } from "./parts/command.js";
import { Dialog } from "./parts/dialog.js";
import { RunState, Verdict } from "./parts/verdict.js";

const SIGNS = [
  ["pass", "measured, and within its threshold"],
  ["warn", "measured, and worth a look; stops nothing"],
  ["block", "measured, and outside of its threshold: the next hand-off waits"],
  ["not_run", "not measured; a required check that was not run blocks"],
  ["waived", "a block that a person answers for, until a date"],
  ["stale", "measured on other inputs than those that lie there now"],
];
const STATES = [
  ["running", "the process lives and its heart beats"],
  ["stalled", "the process lives, its heart stands still"],
  ["crashed", "the process is gone without a word"],
  ["stopped", "ended by request, ready to resume"],
  ["finished", "ended by itself"],
  ["failed", "ended by an error, which it names"],
  ["blocked", "ended, and the gate says no"],
  ["unreadable", "its files cannot be read; the page says which"],
];

/** Opened by `?` and by the button in the bar. */
export function Help({ open, onClose }) {
  return html`<${Dialog} open=${open} onClose=${onClose} title="Help" wide>
    ${open && html`<div class="help">
      <section><h3>Keys</h3><${ShortcutSwitch} />
        <${Pairs} rows=${[...KEYS, ...pageKeys.value].map(([keys, what]) => [html`<${Keys} text=${keys} />`, what])} />
      </section>
      <section><h3>Verdicts</h3>
        <${Pairs} rows=${SIGNS.map(([value, what]) => [html`<${Verdict} value=${value} />`, what])} />
        <h3>States of a run</h3>
        <${Pairs} rows=${STATES.map(([value, what]) => [html`<${RunState} value=${value} />`, what])} />
      </section>
      <section><h3>Without a browser</h3>
        <${Command} text="picochat runs" why="All runs" />
        <${Command} text="picochat status RUN" why="Where one is" />
        <${Command} text="picochat gate RUN" why="What blocks it, and the fix" />
      </section>
    </div>`}
  <//>`;
}

/** Whether single keys do something. It works by keyboard whatever it says. */
export function ShortcutSwitch() {
  return html`<label class="switch"><input type="checkbox" checked=${shortcuts.value === "on"}
    onChange=${(event) => (shortcuts.value = event.currentTarget.checked ? "on" : "off")} /> Single-key shortcuts</label>`;
}

function Keys({ text }) {
  return html`<span class="keys">${text.split(" ").map((key) => html`<kbd>${key.replace(",", "")}</kbd>`)}</span>`;
}

function Pairs({ rows }) {
  return html`<dl class="pairs">${rows.map(([term, what], i) => html`<div key=${i}><dt>${term}</dt><dd>${what}</dd></div>`)}</dl>`;
}
