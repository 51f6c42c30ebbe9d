// Chat rows as training sees them: tokens with their ids, and which of them count for the loss.
import { UNKNOWN, integer } from "../format.js";
import { html, useState } from "../html.js";
import { setQuery } from "../router.js";
import { Section } from "../parts/page.js";
import { Verdict } from "../parts/verdict.js";
import { Pages, usePages } from "./data_paged.js";

export function Chat({ run, query, dataset, packing }) {
  const category = query.category ?? "";
  const [withIds, showIds] = useState(false);
  const pages = usePages(`api/runs/${run}/chat_rows`, { category });
  const categories = dataset.chat.categories.map((entry) => entry.category);
  const sft = packing.conversations;
  return html`<${Section} id="chat-rows" title="Chat rows with their loss mask">
    <p class="lead"><span class="mask-learned">Underlined tokens</span> are what the model learns to say: the assistant's words and the
      ${" "}<code>${"<|end|>"}</code> after them. All others are only read. A row that does not fit is left out whole${
        sft.too_long !== null && html`; ${integer(sft.too_long)} were`}, none is cropped.</p>
    <form class="controls" onSubmit=${(event) => event.preventDefault()}>
      <label>Category ${" "}<select value=${category} onChange=${(event) => setQuery({ category: event.currentTarget.value || null })}>
        <option value="">all</option>
        ${category && !categories.includes(category) && html`<option value=${category}>${category}</option>`}
        ${categories.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select></label>
      <label class="switch"><input type="checkbox" checked=${withIds}
        onChange=${(event) => showIds(event.currentTarget.checked)} /> Show ids</label>
    </form>
    <${Pages} of=${pages} what="rows" file="chat/train.jsonl of this run">${(rows) => html`
      ${rows.length === 0 && html`<p class="muted">No row answers to this.</p>`}
      <ol class="chat-rows">${rows.map((row) => html`<li key=${row.offset}><${Row} row=${row} withIds=${withIds} /></li>`)}</ol>`}<//>
  <//>`;
}

function Row({ row, withIds }) {
  if (row.problem) return html`<p><${Verdict} value="block" note="training refuses this row" /> ${row.problem}</p>`;
  return html`<div class="chat-head">
      <b>${row.id ?? `row at byte ${row.offset}`}</b>
      <span class="muted">${[row.category, row.template, row.source].filter(Boolean).join(" · ")}</span>
      ${row.left_out
        ? html`<${Verdict} value="warn" note="left out" />`
        : html`<${Verdict} value="pass" note=${row.row_tokens === null ? null : "fits"} />`}
    </div>
    <p class="small muted">${integer(row.length)} tokens, ${integer(row.supervised)} learned, ${integer(row.targets)} targets of at most
      ${" "}${row.row_tokens === null ? UNKNOWN : integer(row.row_tokens)} in a training row;
      ${row.begins_with_bos ? " begins with <|bos|>" : " does not begin with <|bos|>"}${row.left_out && html`. ${row.left_out}`}</p>
    <div class="mask-turns">${turns(row.tokens).map((turn, at) => html`<${Turn} key=${at} turn=${turn} withIds=${withIds} />`)}</div>
    ${row.cut > 0 && html`<p class="small muted">… and ${integer(row.cut)} more tokens</p>`}`;
}

// A control token begins a turn, but for the end of one, which belongs to it.
function turns(tokens) {
  const found = [];
  for (const token of tokens) {
    const [, text, hex] = token;
    const begins = hex === "" && text !== "<|end|>" && /^<\|\w+\|>$/.test(text ?? "");
    if (begins || found.length === 0) found.push([]);
    found.at(-1).push(token);
  }
  return found;
}

function Turn({ turn, withIds }) {
  const runs = [];
  for (const token of turn) {
    if (runs.length === 0 || runs.at(-1).learned !== Boolean(token[3])) runs.push({ learned: Boolean(token[3]), tokens: [] });
    runs.at(-1).tokens.push(token);
  }
  return html`<p class=${withIds ? "mask-turn mask-ids" : "mask-turn"}>${runs.map((part, at) => html`<span key=${at}
      class=${part.learned ? "mask-learned" : null}>${part.learned && html`<span class="unseen">learned: </span>`}${
      part.tokens.map(([id, text, hex], place) => html`<span key=${place} class=${hex === "" ? "mask-token control" : "mask-token"}>${
        text === null ? `‹${hex}›` : text.replaceAll("\n", "↵\n").replaceAll("\t", "⇥\t")}${withIds && html`<small>${id}</small>`}</span>`)}</span>`)}</p>`;
}
