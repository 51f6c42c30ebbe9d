// Samples over a training: prompts by checkpoints, each text beside what it was one checkpoint before.
import { integer, percent } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { setQuery } from "../router.js";
import { Section } from "../parts/page.js";
import { Empty, Partial, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Text } from "./evals_text.js";

const TITLES = { base: "Base training", sft: "Fine-tuning" };

export function Samples({ run, query }) {
  const found = useResource(`api/runs/${run}/samples`, { run, kinds: ["checkpoints", "reports", "events"] });
  const diff = query.diff !== "off";
  return html`<${Section} id="samples" title="Samples over training" aside="greedy: the same weights give the same text">
    <div class="controls"><label class="switch"><input type="checkbox" checked=${diff}
      onChange=${(event) => setQuery({ diff: event.currentTarget.checked ? null : "off" })} /> mark what changed since the checkpoint before</label></div>
    <${Resource} of=${found}>${(data) => Object.entries(data.trainings).map(([stage, grid]) => html`<${Grid} key=${stage}
      title=${TITLES[stage] ?? stage} grid=${grid} diff=${diff} words=${data.copied_words} />`)}<//>
  <//>`;
}

function Grid({ title, grid, diff, words }) {
  return html`<h3 class="grid-title">${title}</h3><${Body} title=${title} grid=${grid} diff=${diff} words=${words} />`;
}

function Body({ title, grid, diff, words }) {
  if (grid.state === "missing") return html`<${Empty} what="No samples yet" do="A training writes some at each validation." />`;
  if (grid.state !== "ready") {
    return html`<div class="state problem"><p class="state-title">${grid.artifact} cannot be read</p><p>${grid.why}</p></div>`;
  }
  const columns = [
    { key: "prompt", title: "Prompt", render: ({ prompt }) => html`<${Text} value=${prompt} fold=${160} />` },
    ...grid.steps.map((step, at) => ({
      key: `step-${step}`,
      title: `step ${integer(step)}`,
      render: ({ cells }) => cells[at] && html`<${Cell} of=${cells[at]} diff=${diff} words=${words} />`,
    })),
  ];
  return html`
    ${grid.skipped > 0 && html`<${Partial} what=${`${integer(grid.skipped)} lines are no samples`} />`}
    ${grid.steps.length < grid.all_steps && html`<${Partial} what=${`${grid.steps.length} of ${integer(grid.all_steps)} checkpoints are shown`} why="evenly chosen, the first and the last among them" />`}
    ${grid.prompts.length < grid.all_prompts && html`<${Partial} what=${`${grid.prompts.length} of ${integer(grid.all_prompts)} prompts are shown`} />`}
    ${!grid.searched && html`<p class="small muted">Copies of training text were not looked for: the run's corpus is not here, or too large to search for a page.</p>`}
    <div class="samples-grid"><${DataTable} caption=${`Samples of ${title}`} columns=${columns} rows=${grid.prompts}
      rowKey=${(_, at) => `prompt-${at}`} scroll=${grid.steps.length > 2} empty="no samples" /></div>`;
}

function Cell({ of: cell, diff, words }) {
  return html`<div class="sample">
    ${diff && cell.parts ? html`<${Difference} parts=${cell.parts} />` : html`<${Text} value=${cell.text} />`}
    <p class="marks">${marks(cell, words).map((text) => html`<span class="badge warn" key=${text}><span class="sign" aria-hidden="true">!</span>${text}</span> `)}
      ${cell.changed_frac !== null && html`<span class="small muted">${percent(cell.changed_frac)} new</span>`}</p>
  </div>`;
}

function marks(cell, words) {
  const { echo, repetition, repetition_frac: share, copied, copied_words: longest, document } = cell.faults;
  return [
    echo && "repeats the prompt",
    repetition && `repeats itself (${percent(share)})`,
    copied && `${integer(longest)} words as in document ${integer(document)}`,
    !copied && longest !== null && longest !== undefined && longest >= words && "copies training text",
    cell.finished === false && "cut off",
  ].filter(Boolean);
}

// <ins> and <del> say it without colour; what both have stands plain.
function Difference({ parts }) {
  const tags = { new: "ins", gone: "del", same: "span" };
  return html`<span class="run-text" dir="auto">${parts.map(([kind, text], at) => html`<${tags[kind] ?? "span"} key=${at}>${text}<//>`)}</span>`;
}
