// One row: what was asked, what was expected, what came, and how it was judged; beside it the same row of another run.
import { number, percent } from "../format.js";
import { get } from "../api.js";
import { html, useState } from "../html.js";
import { useResource } from "../live.js";
import { Facts } from "../parts/page.js";
import { ProblemBox, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Text, Word } from "./evals_text.js";

const FLAGS = {
  echo: "repeats the prompt", repetition: "repeats itself", unfinished: "unfinished", unsupported: "claims what it cannot know",
};
const WITH_TRAINING_ROWS = ["eval", "heldout", "fit"];

/** `row` is null for a place that the list does not hold: it is read alone. */
export function Row({ run, set, place, row, against, onTurn }) {
  const [whole, setWhole] = useState(null);
  const [problem, setProblem] = useState(null);
  const readWhole = () => get(`api/runs/${run}/rows`, { set, row: place, against }).then(
    (data) => setWhole(data.rows[0] ?? null), setProblem);
  return html`<article class="row-shown" aria-labelledby="row-shown-title">
    <div class="row-turn">
      <button type="button" onClick=${() => onTurn(-1)}>Previous</button>
      <button type="button" onClick=${() => onTurn(1)}>Next</button>
    </div>
    ${row === null
      ? html`<${Alone} run=${run} set=${set} place=${place} against=${against} />`
      : html`<${Shown} row=${whole ?? row} against=${against} />`}
    ${row?.cut && !whole && html`<p><button type="button" onClick=${readWhole}>Load the whole texts</button></p>`}
    ${problem && html`<${ProblemBox} error=${problem} />`}
    ${WITH_TRAINING_ROWS.includes(set) && html`<${Nearest} run=${run} set=${set} place=${place} />`}
  </article>`;
}

function Alone({ run, set, place, against }) {
  const found = useResource(`api/runs/${run}/rows`, { params: { set, row: place, against }, run, kinds: ["reports"] });
  return html`<${Resource} of=${found}>${(data) => (data.rows[0]
    ? html`<${Shown} row=${data.rows[0]} against=${against} />`
    : html`<p>this row cannot be read</p>`)}<//>`;
}

function Shown({ row, against }) {
  const { other } = row;
  return html`<h3 id="row-shown-title"><span class="run-text" dir="auto">${row.id}</span></h3>
    <p class="row-words"><${Word} value=${row.verdict} note=${row.reason} /> ${row.flags.map((flag) => html`<span key=${flag}
      class="badge warn"><span class="sign" aria-hidden="true">!</span>${FLAGS[flag]}</span> `)}
      ${other?.flipped && html`<${Word} value="flipped" />`}</p>
    <h4>Prompt</h4>
    <div class="turns">${row.prompt.length === 0 && html`<p class="muted">(none)</p>`}${row.prompt.map(({ role, text }, at) => html`<div class="turn" key=${at}>
      ${role && html`<span class="role">${role}</span>`}<${Text} value=${text} /></div>`)}</div>
    <${Listed} title="Expected" items=${row.expected} />
    <${Listed} title="Must not stand in the answer" items=${row.avoid} />
    ${other || against ? html`<div class="beside">
        <div><h4>Answer of this run</h4><${Answer} row=${row} /></div>
        <div><h4>Answer of ${against}</h4>${other ? html`<${Other} row=${other} />` : html`<p class="muted">this row was not asked there</p>`}</div>
      </div>` : html`<h4>Answer</h4><${Answer} row=${row} />`}
    <${Facts} items=${[["Rule", row.rule], ["Category", row.category], ["Level", row.level], ...row.facts]} />`;
}

function Other({ row }) {
  return html`<p class="row-words"><${Word} value=${row.verdict} note=${row.reason} /></p>
    ${!row.same_question && html`<p>another question under the same id: the verdicts cannot be compared</p>`}
    <${Answer} row=${row} />`;
}

function Listed({ title, items }) {
  if (items.length === 0) return null;
  return html`<h4>${title}</h4><ul class="texts">${items.map((text, at) => html`<li key=${at}><${Text} value=${text} /></li>`)}</ul>`;
}

function Answer({ row }) {
  const columns = [
    { key: "text", title: "Option", render: ({ text }) => html`<${Text} value=${text} />` },
    { key: "raw", title: "Log-likelihood", align: "right", render: ({ raw }) => number(raw) },
    { key: "per_byte", title: "Per byte", align: "right", render: ({ per_byte: value }) => number(value) },
    { key: "is", title: "", render: ({ right, chosen }) => [right && "expected", chosen && "likeliest"].filter(Boolean).join(", ") || " " },
  ];
  return html`${row.reply !== null && html`<div class="turn"><${Text} value=${row.reply} /></div>`}
    ${row.options.length > 0 && html`<${DataTable} caption="Options with their log-likelihoods" columns=${columns}
      rows=${row.options} rowKey=${(_, at) => `option-${at}`} stack="s" />`}
    ${row.reply === null && row.options.length === 0 && html`<p class="muted">(none)</p>`}`;
}

/** Asked for, because the training rows are read for it. */
function Nearest({ run, set, place }) {
  const [asked, ask] = useState(false);
  if (!asked) return html`<p><button type="button" onClick=${() => ask(true)}>Nearest training row</button></p>`;
  return html`<${NearestRow} run=${run} set=${set} place=${place} />`;
}

function NearestRow({ run, set, place }) {
  const found = useResource(`api/runs/${run}/nearest`, { params: { set, row: place }, run });
  return html`<section class="nearest" aria-labelledby="nearest-title"><h4 id="nearest-title">Nearest training row</h4>
    <${Resource} of=${found}>${(data) => {
      if (data.state !== "ready") return html`<p>${data.why}</p>`;
      if (!data.nearest) return html`<p>no training row has a word in common with the question</p>`;
      const { share, prompt, reply, category, id } = data.nearest;
      return html`<p class="small">${percent(share)} of the words and pairs of words of both are common${
        data.whole ? "" : "; only the first rows were compared"}</p>
        <div class="turn"><span class="role">user</span><${Text} value=${prompt} /></div>
        <div class="turn"><span class="role">assistant</span><${Text} value=${reply} /></div>
        <p class="small muted">${[id, category].filter(Boolean).join(" · ")}</p>`;
    }}<//></section>`;
}
