// One row: what was asked and expected, what came, how it was judged; beside it the same row of another run.
import { get } from "../api.js";
import { number, percent } from "../format.js";
import { html, useState } from "../html.js";
import { useResource } from "../live.js";
import { Facts } from "../parts/page.js";
import { ProblemBox, Resource } from "../parts/states.js";
import { Mark, Text, Word } from "./evals_text.js";

const FLAGS = {
  echo: "repeats the prompt", repetition: "repeats itself", unfinished: "unfinished",
  unsupported: "claims what it cannot know", refused: "refuses a harmless request",
};
const WITH_TRAINING_ROWS = ["eval", "heldout", "fit"];

/** `row` is null for a place that the list does not hold: it is read alone. `ends`: is it the first, is it the last. */
export function Row({ run, set, place, row, against, onTurn, ends }) {
  const [whole, setWhole] = useState(null);
  const [problem, setProblem] = useState(null);
  const readWhole = () => get(`api/runs/${run}/rows`, { set, row: place, against }).then(
    (data) => setWhole(data.rows[0] ?? null), setProblem);
  return html`<article class="ev-row-shown" aria-label="The row">
    <div class="ev-row-turn">
      <button type="button" disabled=${ends[0]} onClick=${() => onTurn(-1)}>Previous</button>
      <button type="button" disabled=${ends[1]} onClick=${() => onTurn(1)}>Next</button>
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
  const params = { set, row: place, against };
  const found = useResource(`api/runs/${run}/rows`, { params, run, kinds: ["reports"] });
  return html`<${Resource} of=${found}>${({ rows: [row] }) => (row
    ? html`<${Shown} row=${row} against=${against} />`
    : html`<p>This row cannot be read.</p>`)}<//>`;
}

function Shown({ row, against }) {
  const { other } = row;
  return html`<h3><span class="ev-run-text" dir="auto">${row.id}</span></h3>
    <p class="ev-row-words"><${Word} value=${row.verdict} note=${row.reason} />
      ${row.flags.map((flag) => html`<${Mark} key=${flag} text=${FLAGS[flag]} />`)}
      ${other?.flipped && html`<${Word} value="flipped" />`}</p>
    <h4>Prompt</h4>
    <div class="ev-turns">${row.prompt.length === 0 && html`<p class="muted">(none)</p>`}
      ${row.prompt.map(({ role, text }, at) => html`<${Turn} key=${at} role=${role} text=${text} />`)}</div>
    <${Listed} title="Expected" items=${row.expected} />
    <${Listed} title="Must not stand in the answer" items=${row.avoid} />
    ${against ? html`<div class="ev-beside">
        <div><h4>Answer of this run</h4><${Answer} row=${row} /></div>
        <div><h4>Answer of ${against}</h4><${Other} row=${other} /></div>
      </div>` : html`<h4>Answer</h4><${Answer} row=${row} />`}
    <${Facts} items=${[["rule", row.rule], ["category", row.category], ["level", row.level], ...row.facts]} />`;
}

function Turn({ role = "", text }) {
  return html`<div class="ev-turn">${role && html`<span class="ev-role">${role}</span>`}<${Text} value=${text} /></div>`;
}

function Other({ row }) {
  if (!row) return html`<p class="muted">this row was not asked there</p>`;
  return html`<p class="ev-row-words"><${Word} value=${row.verdict} note=${row.reason} /></p>
    ${!row.same_question && html`<p>another question under the same id: the verdicts cannot be compared</p>`}
    <${Answer} row=${row} />`;
}

function Listed({ title, items }) {
  if (items.length === 0) return null;
  return html`<h4>${title}</h4>
    <ul class="ev-texts">${items.map((text, at) => html`<li key=${at}><${Text} value=${text} /></li>`)}</ul>`;
}

function Answer({ row: { reply, options } }) {
  if (reply === null && options.length === 0) return html`<p class="muted">(none)</p>`;
  return html`${reply !== null && html`<${Turn} text=${reply} />`}
    ${options.length > 0 && html`<ul class="ev-texts ev-options">${options.map((option, at) => html`<${Option} key=${at}
      of=${option} />`)}</ul>`}`;
}

function Option({ of: { text, raw, per_byte: each, right, chosen } }) {
  const scores = raw === null ? "no score" : `log-likelihood ${number(raw)}${each === null ? "" : `, ${number(each)} a byte`}`;
  return html`<li class=${chosen ? "ev-chosen" : null}><${Text} value=${text} />${right && html` <b class="small">expected</b>`}
    ${chosen && html` <b class="small">likeliest</b>`}<span class="fact-note">${scores}</span></li>`;
}

/** Asked for, because the training rows are read for it. */
function Nearest({ run, set, place }) {
  const [asked, ask] = useState(false);
  if (!asked) return html`<p><button type="button" onClick=${() => ask(true)}>Nearest training row</button></p>`;
  return html`<${NearestRow} run=${run} set=${set} place=${place} />`;
}

function NearestRow({ run, set, place }) {
  const found = useResource(`api/runs/${run}/nearest`, { params: { set, row: place }, run });
  return html`<div class="ev-nearest"><h4>Nearest training row</h4>
    <${Resource} of=${found}>${({ state, why, nearest, whole }) => {
      if (state !== "ready") return html`<p>${why}</p>`;
      if (!nearest) return html`<p>No training row has a word in common with the question.</p>`;
      const { share, prompt, reply, category, id } = nearest;
      return html`<p class="small">${percent(share)} of the words and pairs of words of both are
          common${whole ? "" : "; only the first rows were compared"}</p>
        <${Turn} role="user" text=${prompt} /><${Turn} role="assistant" text=${reply} />
        <p class="small muted">${[id, category].filter(Boolean).join(" · ")}</p>`;
    }}<//></div>`;
}
