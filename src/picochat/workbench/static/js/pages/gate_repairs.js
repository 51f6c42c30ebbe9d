// What mends a run, first things first: each step with its commands, what it takes, and what goes stale by it.
import { duration, money } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { href } from "../router.js";
import { Command } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Resource } from "../parts/states.js";

const ROOMS = {
  data: "Data", tokenizer: "Tokenizer", shards: "Shards", preflight: "Preflight", base: "Base training", sft: "Fine-tuning",
  evaluate: "Evaluation", benchmark: "Benchmarks", gate: "Gate",
};
const SHOWN = 5;

export function Repairs({ run, set }) {
  const queue = useResource(`api/runs/${run}/repair`, { params: { set }, run, kinds: ["gate", "reports", "status"] });
  return html`<${Resource} of=${queue} lines=${3}>${({ steps, together }) => steps.length === 0 ? null : html`
    <${Section} id="repairs" title="What mends it" aside="in order of dependency">
      <ol class="repairs">
        ${steps.map((step, at) => html`<li key=${`${step.room}-${at}`} class=${step.blocks ? "blocks" : null}>
          <${Step} run=${run} set=${set} step=${step} /></li>`)}
      </ol>
      ${together && html`<div class="together">
        <h3>All of it in one new run</h3>
        <p class="muted">${together.checks.length} checks; ${takes(together)}</p>
        <${Commands} step=${together} /></div>`}
    <//>`}<//>`;
}

function Step({ run, set, step }) {
  return html`<h3>${ROOMS[step.room] ?? step.room}</h3>
    <p class="small">${step.checks.slice(0, SHOWN).map((check, at) => html`${at > 0 ? ", " : ""}<a
      href=${href("gate", { run, query: { tab: set === "gate" ? null : set, check } })}>${check}</a>`)}${
      step.checks.length > SHOWN && ` and ${step.checks.length - SHOWN} more`}</p>
    <p class="small muted">${takes(step)}${step.stale.length > 0 && html` · makes stale: ${
      step.stale.map((room) => (ROOMS[room] ?? room).toLowerCase()).join(", ")}`}</p>
    <${Commands} step=${step} />`;
}

// Time and money are of this run, scaled by tokens; what nobody knows is a dash.
function takes({ seconds, usd, new_run: made }) {
  const where = made ? html`a new run, <code>${made}</code>` : "on this run";
  return html`${where} · time ${duration(seconds)} · cost ${money(usd)}`;
}

function Commands({ step }) {
  if (step.commands.length === 0) return html`<p>${step.fix.join("; ")}</p>`;
  const hints = [];
  if (step.edits_pack) hints.push("edit the pack");
  if (step.blanks.length > 0) hints.push(`fill in ${step.blanks.join(", ")}`);
  return html`${hints.length > 0 && html`<p class="small"><b>First</b> ${hints.join("; ")}${
      step.edits_pack && step.fix ? html`: ${step.fix.join("; ")}` : null}</p>`}
    ${step.commands.map((command) => html`<${Command} key=${command} text=${command} />`)}`;
}
