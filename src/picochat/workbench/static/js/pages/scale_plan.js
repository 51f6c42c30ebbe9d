// One launch plan: what it is, its six steps, its checks, how it is written out, and what happened to it.
import { post } from "../api.js";
import { age, clock } from "../format.js";
import { html, useState } from "../html.js";
import { useResource } from "../live.js";
import { href, setQuery } from "../router.js";
import { CommandOutput } from "../parts/command_output.js";
import { Action, Command, CopyButton } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";
import { CheckTable } from "./scale_checks.js";
import { Confirmation } from "./scale_confirm.js";
import { Steps } from "./scale_steps.js";

const LABEL_CHARS = 10;
const TRAIL = [
  { key: "t", title: "When", render: ({ t }) => html`${clock(t)} UTC, ${age(t)}` },
  { key: "action", title: "What" },
  { key: "login", title: "Who" },
  { key: "detail", title: "Detail", render: (line) => line.detail ?? line.id ?? line.cap_usd ?? line.verdict ?? null },
];
const TITLES = {
  ssh: "The commands over ssh", torchrun: "The script for every node", slurm: "The batch script for Slurm",
  skypilot: "The task for SkyPilot", hf_jobs: "The command for Hugging Face Jobs",
};

export function OnePlan({ digest }) {
  const plan = useResource(`api/plans/${encodeURIComponent(digest)}`, { kinds: ["plans", "runs"] });
  return html`<${Resource} of=${plan} lines=${8}>${(view) => html`<${Plan} view=${view} reload=${plan.reload}
    stale=${plan.state === "stale" ? "reading the plan again failed: what is shown may be old" : ""} />`}<//>`;
}

function Plan({ view, reload, stale }) {
  const [confirming, setConfirming] = useState(false);
  const [process, setProcess] = useState(null);
  const act = (name, body) => async () => {
    const answer = await post(`api/plans/${view.digest}/${name}`, body);
    if (answer.process) setProcess(answer.process);
    reload();
  };
  return html`
    <${Section} id="plan" title=${view.plan.name} aside=${html`<a href=${href("overview", { run: view.run })}>Run ${
      view.run}</a>`}>
      <dl class="pairs plan-lines">${view.lines.map((line) => html`<div key=${line}><dt>${line.slice(0, LABEL_CHARS)}</dt>
        <dd>${line.slice(LABEL_CHARS)}</dd></div>`)}</dl>
    <//>
    <${Section} id="steps" title="Six steps">
      <${Steps} steps=${view.steps} actions=${actions(view, act, () => setConfirming(true), reload)} />
    <//>
    ${process && html`<${Section} id="output" title="Output"><${CommandOutput} key=${process} id=${process}
      onEnd=${reload} /><//>`}
    <${Section} id="preconditions" title="What must hold" aside=${view.checks && html`<${Verdict}
      value=${view.checks.verdict} /> judged ${age(view.checks.judged_at)}${view.checks.stale && html` <${Verdict}
      value="stale" />`}`}>
      ${view.checks ? html`<${CheckTable} caption="Preconditions" rows=${view.checks.rows} />`
        : html`<p class="muted">Not judged since the workbench was started. Every start judges them again.</p>`}
    <//>
    ${view.dry_run && html`<${Section} id="dry-run" title="Dry run" aside=${html`run ${view.dry_run.run}, judged ${
      age(view.dry_run.t)}`}><${CheckTable} caption="Rows of the dry run" rows=${view.dry_run.rows} /><//>`}
    <${Rendering} of=${view.rendering} others=${view.other_targets} />
    <${Section} id="trail" title="Audit trail">
      <${DataTable} caption="Audit trail" columns=${TRAIL} rows=${view.audit.toReversed()} key=${(line, at) => String(at)}
        empty="nothing happened to this plan yet" />
    <//>
    <${Confirmation} view=${view} stale=${stale} open=${confirming} onClose=${() => setConfirming(false)}
      onStarted=${() => { setConfirming(false); reload(); }} />`;
}

function Rendering({ of: rendering, others }) {
  const title = TITLES[rendering.target];
  return html`<${Section} id="rendering" title=${title} aside=${rendering.text && html`<${CopyButton}
      text=${rendering.text} label="Copy all" />`}>
      ${rendering.text ? html`<pre class="script" tabindex="0" role="region" aria-label=${title}>${rendering.text}</pre>`
        : html`<p>${rendering.why}</p>`}
      <${Command} text=${rendering.command} why="Prints the same bytes." />
      <details class="fold"><summary>The same run on another service</summary><div class="step-again">
        ${others.map(({ target, command }) => html`<${Command} key=${target} text=${command} why=${`${
          TITLES[target]}: a plan of its own`} />`)}
      </div></details>
    <//>`;
}

function actions(view, act, confirm, reload) {
  const ssh = view.plan.target.kind === "ssh";
  const found = {};
  if (!view.start) {
    found.preflight = html`<${Action} title="Judge now" onRun=${act("preflight")} why=${ssh
      ? "Hashes what travels, and asks the machine." : "Hashes what travels."} />`;
    if (!view.plan.dry_run_of) found.dry_run = html`<${DryRun} view=${view} act=${act} />`;
    if (ssh) {
      const held = view.checks && !view.checks.stale && view.checks.verdict !== "blocked";
      found.confirm = html`<${Action} title="Confirm and launch…" onRun=${confirm} disabled=${!held} danger why=${
        held ? null : "The preconditions are judged first, and all of them must hold."} />`;
    }
  } else if (ssh && view.start.state === "started") {
    found.follow = html`<${Action} title="Ask how it stands" onRun=${act("follow")} />
      <${Action} title="Stop it there" onRun=${act("stop")} command=${`picochat launch stop ${view.short}`}
        confirm="The run saves a checkpoint and stops. The machine itself is given back by its own autostop." />`;
    found.fetch = html`<${Action} title="Copy it back and verify" onRun=${act("fetch")} />`;
  }
  return found;
}

function DryRun({ view, act }) {
  const [name, setName] = useState("");
  const make = async () => {
    const made = await post(`api/plans/${view.digest}/dry-run`, {});
    setQuery({ plan: made.digest }, { replace: false });
  };
  return html`<div class="dry-run">
    <${Action} title="Plan a dry run" onRun=${make} why="A plan of its own: the first 100 steps, under a tenth of the cap." />
    <form onSubmit=${(event) => event.preventDefault()}>
      <label class="field">A run folder that came back from it<input name="attach" value=${name} autocomplete="off"
        spellcheck="false" onInput=${({ currentTarget }) => setName(currentTarget.value)} /></label>
      <${Action} title="Judge it" onRun=${act("dry-run", { attach: name })} disabled=${name === ""}
        command=${`picochat launch dry-run ${view.short} --attach ${/^[A-Za-z0-9._-]+$/.test(name) ? name : "RUN"}`} />
    </form>
  </div>`;
}
