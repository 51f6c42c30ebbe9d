// Commands to copy, and actions that have their command beside them.
import { html, useRef, useState } from "../html.js";
import { announce, session } from "../store.js";
import { Dialog } from "./dialog.js";
import { ProblemBox } from "./states.js";

const THANKS_MS = 1500;

/** Copies by the clipboard where the browser has one for this page, else by a selection. Whether it worked. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

// The clipboard needs a secure context, which a plain address in a local network is not.
function copyBySelection(text) {
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  field.readOnly = true;
  const host = document.querySelector("dialog[open]") ?? document.body;
  const focused = document.activeElement;
  host.append(field);
  field.select();
  const worked = document.execCommand("copy");
  field.remove();
  focused?.focus?.();
  return worked;
}

/** A button that copies `text` and says so. */
export function CopyButton({ text, label = "Copy", what = "Copied" }) {
  const [done, setDone] = useState("");
  const onClick = async () => {
    const worked = await copy(typeof text === "function" ? text() : text);
    setDone(worked ? "Copied" : "Not copied");
    announce(worked ? what : "The browser did not let this be copied");
    setTimeout(() => setDone(""), THANKS_MS);
  };
  return html`<button type="button" class="copy" onClick=${onClick}>${done || label}</button>`;
}

/** One command with a copy button; `why` says when to use it. */
export function Command({ text, why = null }) {
  return html`<div class="command">
    ${why && html`<p class="command-why">${why}</p>`}
    <div class="command-line">
      <code>${text}</code>
      <${CopyButton} text=${text} what="Command copied" />
    </div>
  </div>`;
}

/**
 * A button that does something, with the command that does the same beside it. `onRun` may return a promise; what it
 * throws is shown. `confirm`: a sentence that is asked first, or `{text, type}`, where `type` must be typed. `danger`
 * and `plain` say how loud the button is, `why` stands below it.
 */
export function Action({
  title, command, onRun, confirm = null, danger = false, plain = false, disabled = false, why = null,
}) {
  const [asking, ask] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const run = async () => {
    ask(false);
    setBusy(true);
    setError(null);
    try {
      await onRun();
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  const readOnly = session.value.readOnly;
  return html`<div class="action">
    <div class="action-line">
      ${readOnly
        ? html`<span class="badge neutral"><span class="sign" aria-hidden="true">⊘</span>read-only</span>`
        : html`<button type="button" class=${danger ? "danger" : plain ? null : "primary"} disabled=${busy || disabled}
            onClick=${() => (confirm ? ask(true) : run())}>${busy ? `${title} …` : title}</button>`}
      ${command && html`<${Command} text=${command} />`}
    </div>
    ${why && html`<p class="small muted">${why}</p>`} ${error && html`<${ProblemBox} error=${error} />`}
    ${confirm && html`<${Confirm} open=${asking} title=${title} ask=${confirm} danger=${danger} onNo=${() => ask(false)}
      onYes=${run} />`}
  </div>`;
}

function Confirm({ open, title, ask, danger, onNo, onYes }) {
  const { text, type } = typeof ask === "string" ? { text: ask, type: null } : ask;
  const [typed, setTyped] = useState("");
  const field = useRef(null);
  const right = type === null || type === undefined || typed === type;
  const submit = (event) => {
    event.preventDefault();
    if (!right) return;
    setTyped("");
    onYes();
  };
  return html`<${Dialog} open=${open} title=${title} onClose=${onNo}>
    <form onSubmit=${submit}>
      <p>${text}</p>
      ${type && html`<label class="field"><span>Type <code>${type}</code></span>
        <input value=${typed} ref=${field} autocomplete="off" spellcheck="false" autofocus
          onInput=${(event) => setTyped(event.currentTarget.value)} /></label>`}
      <div class="buttons">
        <button type="button" onClick=${onNo}>Cancel</button>
        <button type="submit" class=${danger ? "danger" : "primary"} disabled=${!right}>${title}</button>
      </div>
    </form>
  <//>`;
}
