// Samples over a training: prompts by checkpoints, each text beside what it was one checkpoint before.
import { integer, percent } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { setQuery } from "../router.js";
import { Section } from "../parts/page.js";
import { Empty, Partial, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Mark, Text, Unreadable } from "./evals_text.js";

const TITLES = { base: "Base training", sft: "Fine-tuning" };
const TAGS = { new: "ins", gone: "del", same: "span" };
const PROMPT_CHARS = 160;

export function Samples({ run, query }) {
  const found = useResource(`api/runs/${run}/samples`, { run, kinds: ["checkpoints", "reports", "events"] });
  const diff = query.diff !== "off";
  const change = (event) => setQuery({ diff: event.currentTarget.checked ? null : "off" });
  return html`<${Section} id="samples" title="Samples over training" aside="greedy: the same weights give the same text">
    <div class="controls"><label class="switch"><input type="checkbox" checked=${diff} onChange=${change} />
      mark what changed since the checkpoint before</label></div>
    <${Resource} of=${found}>${(data) => Object.entries(data.trainings).map(([stage, grid]) => html`<div key=${stage}>
      <h3 class="ev-grid-title">${TITLES[stage] ?? stage}</h3>
      <${Grid} title=${TITLES[stage] ?? stage} grid=${grid} diff=${diff} /></div>`)}<//>
  <//>`;
}

function Grid({ title, grid, diff }) {
  if (grid.state === "missing") {
    return html`<${Empty} what="No samples yet" do="A training writes some at each validation." />`;
  }
  if (grid.state !== "ready") return html`<${Unreadable} artifact=${grid.artifact} why=${grid.why} />`;
  const cell = (at) => ({ cells }) => cells[at] && html`<${Cell} of=${cells[at]} diff=${diff} />`;
  const columns = [
    { key: "prompt", title: "Prompt", render: ({ prompt }) => html`<${Text} value=${prompt} fold=${PROMPT_CHARS} />` },
    ...grid.steps.map((step, at) => ({ key: `step-${step}`, title: `step ${integer(step)}`, render: cell(at) })),
  ];
  return html`<${Limits} of=${grid} />
    <div class="ev-samples-grid"><${DataTable} caption=${`Samples of ${title}`} columns=${columns} rows=${grid.prompts}
      rowKey=${(_, at) => `prompt-${at}`} scroll=${grid.steps.length > 2} empty="no samples" /></div>`;
}

function Limits({ of: { skipped, steps, all_steps: allSteps, prompts, all_prompts: allPrompts, searched } }) {
  return html`
    ${skipped > 0 && html`<${Partial} what=${`${integer(skipped)} lines are no samples`} />`}
    ${steps.length < allSteps && html`<${Partial} what=${`${steps.length} of ${integer(allSteps)} checkpoints are shown`}
      why="evenly chosen, the first and the last among them" />`}
    ${prompts.length < allPrompts && html`<${Partial}
      what=${`${prompts.length} of ${integer(allPrompts)} prompts are shown`} />`}
    ${!searched && html`<p class="small muted">Copies of training text were not looked for: the corpus of the run is not
      here, or too large to be searched for a page.</p>`}`;
}

function Cell({ of: cell, diff }) {
  return html`<div class="ev-sample">
    ${diff && cell.parts ? html`<${Difference} parts=${cell.parts} />` : html`<${Text} value=${cell.text} />`}
    <p class="ev-marks">${marks(cell).map((text) => html`<${Mark} key=${text} text=${text} />`)}
      ${cell.changed_frac !== null && html`<span class="small muted">${percent(cell.changed_frac)} new</span>`}</p>
  </div>`;
}

function marks({ finished, faults: { echo, repetition, repetition_frac: share, copied, copied_words: words, document } }) {
  return [
    echo && "repeats the prompt",
    repetition && `repeats itself (${percent(share)})`,
    copied && `${integer(words)} words as in document ${integer(document)}`,
    finished === false && "cut off",
  ].filter(Boolean);
}

// <ins> and <del> say it without colour; what both have stands plain.
function Difference({ parts }) {
  return html`<span class="ev-run-text" dir="auto">${parts.map(([kind, text], at) => html`<${TAGS[kind] ?? "span"}
    key=${at}>${text}<//>`)}</span>`;
}
