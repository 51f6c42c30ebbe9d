// Tokens as text, one tab stop for all of them: arrows choose one, the panel below names its probability and rivals.

import { html, useEffect, useRef, useState } from "../html.js";
import { percent } from "../format.js";
import { likelihood } from "./play_stream.js";

const NAMES = { "\n": "↵", "\t": "⇥", " ": "␣" };

/** A token's text with what cannot be seen made visible. */
export function visible(text) {
  if (text === "") return "∅";
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u2069]/g, (char) =>
    NAMES[char] ?? `\\u{${char.codePointAt(0).toString(16)}}`);
}

function spaced(text) {
  return visible(text).replace(/ /g, NAMES[" "]);
}

/** A probability; what would round to nothing is said to be small. */
function chance(logprob) {
  const p = Math.exp(logprob);
  return p > 0 && p < 0.001 ? "< 0.1 %" : percent(p);
}

/** The answer with a colour and a figure a token. */
export function Tokens({ tokens, label, busy }) {
  const [chosen, choose] = useState(null);
  const list = useRef(null);
  const at = chosen === null ? null : Math.min(chosen, tokens.length - 1);
  useEffect(() => {
    if (at !== null) list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at]);
  const move = (event) => {
    const last = tokens.length - 1;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10 };
    let next = null;
    if (event.key in steps) next = (at ?? -1) + steps[event.key];
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = last;
    else if (event.key === "Escape") { choose(null); return; }
    if (next === null || last < 0) return;
    event.preventDefault();
    choose(Math.max(0, Math.min(last, next)));
  };
  const id = `token-${label.replace(/\W/g, "-")}`;
  return html`
    <div class="tokens" role="listbox" tabindex="0" ref=${list} onKeyDown=${move} aria-label=${`Tokens of ${label}`}
      aria-activedescendant=${at === null ? undefined : `${id}-${at}`} aria-busy=${busy ? "true" : "false"}
      onFocus=${() => chosen === null && tokens.length && choose(0)}>
      ${tokens.map((token, place) => html`<span key=${place} id=${`${id}-${place}`} role="option"
        aria-selected=${place === at ? "true" : "false"} class=${`token p${likelihood(token.logprob)}`}
        onClick=${() => choose(place)}>${visible(token.text)}</span>`)}
    </div>
    ${at !== null && tokens[at] && html`<${Rivals} token=${tokens[at]} place=${at} />`}`;
}

function Rivals({ token, place }) {
  return html`
    <div class="rivals" role="status">
      <p>Token ${place + 1}, <code>${spaced(token.text)}</code>: probability
        ${" "}<strong>${chance(token.logprob)}</strong></p>
      <table class="likeliest">
        <caption class="unseen">The ten likeliest tokens at this place</caption>
        <thead><tr><th scope="col">token</th><th scope="col" class="number">probability</th></tr></thead>
        <tbody>${token.top.map((rival) => html`<tr key=${rival.text} class=${rival.text === token.text ? "drawn" : ""}>
          <td><code>${spaced(rival.text)}</code>${rival.text === token.text ? " (drawn)" : ""}</td>
          <td class="number">${chance(rival.logprob)}</td></tr>`)}</tbody>
      </table>
    </div>`;
}

/** The prompt as the model is given it: control tokens by name, each with its id. */
export function ExactPrompt({ tokens }) {
  if (!tokens.length) return null;
  return html`
    <details class="exact">
      <summary>The exact prompt, ${tokens.length} tokens</summary>
      <p class="tokens plain">${tokens.map((token, place) => html`<span key=${place}
        class=${token.special ? "token special" : "token"}>${visible(token.text)}<sub>${token.id}</sub></span>`)}</p>
    </details>`;
}
