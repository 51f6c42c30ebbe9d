// The token budget of base training, and the loss that was predicted for it beside the one that came.
import { count, integer, number, percent } from "../format.js";
import { html, useEffect, useRef } from "../html.js";
import { useResource } from "../live.js";
import { Checks } from "../parts/checks.js";
import { Command } from "../parts/command.js";
import { Facts, Section } from "../parts/page.js";
import { Partial, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";

export function Budget({ run }) {
  const budget = useResource(`api/runs/${run}/budget`, { run, kinds: ["status", "events", "reports", "gate"] });
  return html`<${Resource} of=${budget} lines=${5}>${(data) => html`<${Numbers} data=${data} />`}<//>
    <${Prediction} run=${run} />`;
}

function Numbers({ data }) {
  return html`<${Section} id="budget" title="Tokens of base training">
    ${data.why && html`<${Partial} what=${data.why} />`}
    <${Facts} items=${facts(data)} />
    <${Bar} data=${data} />
    ${data.gate && html`<${Checks} rows=${[data.gate]} caption="How the gate judges it" />`}
    <${Command} text=${data.command} why="The same numbers in a terminal" />
  <//>`;
}

function facts(data) {
  const few = data.unique_interval;
  return [
    ["parameters", integer(data.parameters)],
    ["target", integer(data.target_tokens), `${number(data.target_ratio)} tokens a parameter`],
    ["planned", integer(data.planned_tokens), `${number(data.planned_ratio)} tokens a parameter, in whole steps`],
    ["asked for", integer(data.asked_tokens), `${number(data.asked_ratio)} tokens a parameter, as the gate counts`],
    ["unique", few ? `${count(data.unique_tokens)} (${count(few[0])} to ${count(few[1])})` : integer(data.unique_tokens),
      data.unique_from && `from ${data.unique_from}`],
    ["epochs planned", number(data.planned_epochs)],
    ["used so far", integer(data.used_tokens), `${percent(data.used_frac)} of the target`],
    ["epochs so far", number(data.used_epochs)],
  ];
}

// Bars over the target, with marks at 0.9 of it and at it. Lengths are set by script: the page allows no style in markup.
function Bar({ data }) {
  const box = useRef(null);
  const whole = Math.max(data.target_tokens ?? 0, data.planned_tokens ?? 0, data.used_tokens ?? 0);
  const share = (tokens) => (tokens === null || whole === 0 ? 0 : (100 * tokens) / whole);
  useEffect(() => {
    for (const part of box.current?.querySelectorAll("[data-share]") ?? []) {
      part.style[part.dataset.side] = `${part.dataset.share}%`;
    }
  });
  if (data.target_tokens === null) return null;
  return html`<figure class="budget" ref=${box}>
    <figcaption class="small muted">planned ${percent(data.planned_frac)}, used ${percent(data.used_frac)} of the target</figcaption>
    ${[["planned", data.planned_tokens], ["used", data.used_tokens]].map(([name, tokens]) => html`<div class="budget-row"
      key=${name}><span class="budget-name">${name}</span><span class="budget-track">
        <span class=${`budget-bar ${name}`} data-side="width" data-share=${share(tokens)}></span>
        ${data.marks.map((mark) => html`<span class="budget-mark" data-side="left" data-share=${share(mark.tokens)}
          key=${mark.frac}></span>`)}</span></div>`)}
    <ul class="budget-marks small">${data.marks.map((mark) => html`<li key=${mark.frac}>${mark.frac === 1 ? "target"
      : `${mark.frac} of the target`}: ${integer(mark.tokens)} tokens — planned ${reached(mark.planned)}, used ${
      reached(mark.used)}</li>`)}</ul>
  </figure>`;
}

function reached(known) {
  return known === null ? "—" : known ? "reaches it" : "below it";
}

const WORDS = {
  inside: ["✓", "inside the band", "pass"], outside: ["✕", "outside of the band", "block"],
  refused: ["○", "refused", "neutral"], "not compared": ["○", "not compared yet", "neutral"],
};

function Prediction({ run }) {
  const found = useResource(`api/runs/${run}/prediction`, { run, kinds: ["reports", "status"] });
  return html`<${Section} id="prediction" title="Predicted and measured loss">
    <${Resource} of=${found} lines=${2}>${(data) => data.state === "ready" ? html`<${Predicted} data=${data} />`
      : html`<p class="muted">${data.state === "missing" ? "Nothing was predicted for this run." : data.why}</p>`}<//>
  <//>`;
}

function Predicted({ data }) {
  const [sign, word, tone] = WORDS[data.word] ?? ["—", "not sound", "warn"];
  const columns = data.columns.map((title, at) => ({ key: String(at), title: title || "verdict" }));
  const rows = data.rows.map((row, at) => ({ id: String(at), ...Object.fromEntries(row.map((text, i) => [String(i), text])) }));
  return html`<p><span class=${`badge ${tone}`}><span class="sign" aria-hidden="true">${sign}</span>${word}</span> ${data.why}</p>
    ${rows.length > 0 && html`<${DataTable} caption="Prediction and outcome" columns=${columns} rows=${rows} rowKey="id" />`}
    ${data.notes.length > 0 && html`<ul>${data.notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`}`;
}
