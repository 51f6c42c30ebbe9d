// One of the two checkpoints: which it is, its answers, what the last one cost.

import { html } from "../html.js";
import { number, duration } from "../format.js";
import { Verdict } from "../parts/verdict.js";
import { Exports } from "./play_export.js";
import { ExactPrompt, Tokens } from "./play_tokens.js";

const WORDS = {
  asking: "asking", loading: "loading the model, which takes some seconds", answering: "answering",
  done: "done", stopped: "stopped", failed: "failed", empty: "",
};

/** The name of a choice: run and checkpoint in one text, as the address holds it. */
export const nameOf = (entry) => `${entry.run}/${entry.checkpoint}`;

/** Whether a checkpoint is asked with a conversation; a base model continues a text. */
export const speaks = (checkpoint) => checkpoint.startsWith("sft/");

export function Side({ side, entry, choices, onChoose, turns, answers, bodyOf }) {
  const last = answers[turns.length - 1];
  return html`
    <section class="side" aria-labelledby=${`side-${side}`}>
      <h2 id=${`side-${side}`}>${side === "left" ? "Left" : "Right"}</h2>
      <label>Checkpoint
        <select name=${side} value=${entry ? nameOf(entry) : ""} onChange=${(event) => onChoose(event.target.value)}>
          ${side === "right" && html`<option value="">none</option>`}
          ${choices.map((choice) => html`<option key=${nameOf(choice)} value=${nameOf(choice)}>${nameOf(choice)}</option>`)}
        </select>
      </label>
      ${entry && html`<p class="note">${speaks(entry.checkpoint) ? "a chat model: asked with its template" : "a base model: continues the text"}
        ${entry.verdict ? html`; gate ${" "}<${Verdict} value=${entry.verdict} />` : "; never judged"}</p>`}
      ${entry && turns.map((turn, place) => html`<${Answer} key=${place} label=${`${side} answer ${place + 1}`}
        answer=${answers[place]} />`)}
      ${entry && last && html`
        <${Figures} answer=${last} />
        <${ExactPrompt} tokens=${last.prompt} />
        <${Exports} body=${bodyOf(entry, turns.length - 1)} answer=${last} />`}
    </section>`;
}

function Answer({ answer, label }) {
  if (!answer) return null;
  const busy = ["asking", "loading", "answering"].includes(answer.state);
  return html`
    <article class="answer" aria-label=${label} data-state=${answer.state}>
      ${answer.error ? html`<p class="problem">${answer.error}</p>` : html`<${Tokens} tokens=${answer.tokens} label=${label} busy=${busy} />`}
      <p class="note" role="status">${WORDS[answer.state]}${answer.finish === "length" ? ": cut at the limit of tokens" : ""}</p>
      <p class="unseen" data-text>${answer.text}</p>
    </article>`;
}

function Figures({ answer }) {
  const { tokens, firstMs, totalMs, usage } = answer;
  const seconds = totalMs === null ? null : totalMs / 1000;
  const rate = seconds && tokens.length > 1 && firstMs !== null ? (tokens.length - 1) / Math.max(seconds - firstMs / 1000, 1e-3) : null;
  return html`
    <dl class="facts">
      <div><dt>first token</dt><dd>${firstMs === null ? duration(null) : duration(firstMs / 1000)}</dd></div>
      <div><dt>tokens/s</dt><dd>${number(rate)}</dd></div>
      <div><dt>tokens</dt><dd>${number(usage?.completion_tokens ?? (tokens.length || null))}</dd></div>
      <div><dt>prompt tokens</dt><dd>${number(usage?.prompt_tokens ?? null)}</dd></div>
    </dl>`;
}
