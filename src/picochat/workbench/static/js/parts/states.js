// The states of what is read: loading, empty, wrong, stale, in part. Each says what it is and what to do.
import { age } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { Command } from "./command.js";

const PATIENCE_MS = 300;

/** Grey lines after 300 ms; before that nothing flickers. */
export function Loading({ lines = 4, what = "Loading" }) {
  const [shown, show] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => show(true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, []);
  if (!shown) return html`<div class="skeleton waiting" aria-busy="true"></div>`;
  return html`<div class="skeleton" aria-busy="true" role="status">
    <span class="unseen">${what}</span>
    ${Array.from({ length: lines }, (_, line) => html`<span class="bone" key=${line}></span>`)}
  </div>`;
}

/** Nothing there (yet): `what` is missing, what to `do`, and the `command` that does it. */
export function Empty({ what, do: todo = null, command = null }) {
  return html`<div class="state empty">
    <p class="state-title">${what}</p>
    ${todo && html`<p>${todo}</p>`} ${command && html`<${Command} text=${command} />`}
  </div>`;
}

/** A refusal: what, why, what mends it, and the id under which the log of the server has it. */
export function ProblemBox({ error, onRetry = null }) {
  const { detail, message, why, fix, code, requestId } = error;
  return html`<div class="state problem">
    <p class="state-title"><span class="sign" aria-hidden="true">✕</span> ${detail || message || "this did not work"}</p>
    ${why && html`<p><b>Why</b> ${why}</p>`} ${fix && html`<${Fix} text=${fix} />`}
    ${(code || requestId) && html`<p class="small muted">${[code, requestId].filter(Boolean).join(" · ")}</p>`}
    ${onRetry && html`<button type="button" onClick=${onRetry}>Try again</button>`}
  </div>`;
}

// A cure that is one command can be copied.
function Fix({ text }) {
  return /^picochat [^;,\n]+$/.test(text) ? html`<${Command} text=${text} why="Fix" />` : html`<p><b>Fix</b> ${text}</p>`;
}

/** Old data is shown; reading it again failed. `since`: ms of Date.now(), or ISO 8601 text. */
export function Stale({ since = null, why = null, children = null }) {
  const when = typeof since === "number" ? age((Date.now() - since) / 1000) : since && age(since);
  return html`<div class="state stale">
    <span class="sign" aria-hidden="true">⟳</span> <b>stale</b>${when && html` · read ${when}`}
    ${why && html` · ${why}`} ${children}
  </div>`;
}

/** A part is missing: what there is is shown, and this says what is not. */
export function Partial({ what = "a part is missing", why = null, children = null }) {
  return html`<div class="state partial">
    <span class="sign" aria-hidden="true">!</span> <b>partial</b> · ${what}${why && html` · ${why}`} ${children}
  </div>`;
}

/** The right state of a resource of live.js; its child is a function from the data to markup. */
export function Resource({ of: resource, children, lines = 4, empty = null }) {
  const { data, error, state, since, reload } = resource;
  const draw = Array.isArray(children) ? children.find((child) => typeof child === "function") : children;
  if (state === "loading" && data === null) return html`<${Loading} lines=${lines} />`;
  if (data === null) return html`<${ProblemBox} error=${error} onRetry=${reload} />`;
  const shown = empty !== null && isEmpty(data) ? empty : draw(data);
  return state === "stale" ? html`<${Stale} since=${since} why=${error?.detail} />${shown}` : shown;
}

function isEmpty(data) {
  return Array.isArray(data) ? data.length === 0 : Object.keys(data).length === 0;
}
