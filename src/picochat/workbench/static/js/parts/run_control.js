// A run at work: stop it, go on with it, what it costs in time and money.
import { post } from "../api.js";
import { age, duration, integer, money, number, percent } from "../format.js";
import { html, useState } from "../html.js";
import { useResource } from "../live.js";
import { CommandOutput } from "./command_output.js";
import { Action, Command } from "./command.js";
import { Facts } from "./page.js";
import { Resource } from "./states.js";
import { DataTable } from "./table.js";

const WORD = "stop";
const KINDS = ["status", "events"];
const CONDITIONS = [
  { key: "field", title: "Condition" },
  { key: "saved", title: "In the checkpoint", render: ({ saved }) => shown(saved) },
  { key: "now", title: "Now", render: ({ now, verdict }) => (verdict === "later" ? "compared when it starts" : shown(now)) },
  { key: "verdict", title: "", render: ({ verdict }) => html`<${Condition} value=${verdict} />` },
];

/** Stop while the run works, resume when it does not. */
export function RunControl({ run }) {
  const control = useResource(`api/runs/${encodeURIComponent(run)}/control`, { run, kinds: KINDS });
  // What a resume says stays in sight when the run is at work again.
  const [started, setStarted] = useState(null);
  return html`<${Resource} of=${control} lines=${2}>${(found) => html`<div class="run-control">
    ${found.can_stop || found.asked ? html`<${Stop} run=${run} found=${found} reload=${control.reload} />`
      : html`<${Resume} run=${run} key=${found.state} onStarted=${setStarted} />`}
    ${started && html`<${CommandOutput} key=${started} id=${started} onEnd=${control.reload} />`}
  </div>`}<//>`;
}

function Stop({ run, found, reload }) {
  const ask = (request, typed = "") => async () => {
    await post(`api/runs/${encodeURIComponent(run)}/control`, { request, typed });
    reload();
  };
  if (found.asked) return html`<${Asked} asked=${found.asked} ask=${ask} commands=${found.commands} />`;
  return html`<${Action} title="Stop after checkpoint" command=${found.commands.stop} onRun=${ask("stop")}
      why="The step that is running is finished and saved; the process ends with exit code 75." />
    <${StopNow} ask=${ask} commands=${found.commands} />`;
}

function StopNow({ ask, commands }) {
  return html`<details class="fold"><summary>Stop without a checkpoint</summary>
    <${Action} title="Stop now" danger command=${commands.stop_now} onRun=${ask("stop_now", WORD)} confirm=${{
      text: "Nothing is saved: a resume repeats every step since the last checkpoint.", type: WORD }}
      why="Exit code 75 all the same; the last checkpoint stands." />
  </details>`;
}

function Asked({ asked, ask, commands }) {
  const what = asked.request === "stop" ? "Asked to save and stop" : "Asked to stop now";
  return html`<p role="status">
      <span class="badge active"><span class="sign" aria-hidden="true">□</span>${what}</span>
      ${" "}${age(asked.at)}, ${asked.acknowledged_at
        ? html`heard ${age(asked.acknowledged_at)}: it ends after the step that is running`
        : "the run looks every two seconds"}
    </p>
    ${asked.request === "stop" && html`<${StopNow} ask=${ask} commands=${commands} />`}`;
}

/** What a resume begins with, and the button that starts it. */
export function Resume({ run, onStarted }) {
  const [open, setOpen] = useState(false);
  const [accepted, setAccepted] = useState([]);
  const resume = useResource(`api/runs/${encodeURIComponent(run)}/resume`, {
    run, kinds: ["status", "checkpoints"], params: { accept: accepted.join(",") } });
  const start = (process) => {
    setOpen(false);
    onStarted(process);
  };
  return html`<${Resource} of=${resume} lines=${2}>${(found) => html`<${ResumePanel} run=${run} found=${found}
    open=${open} onOpen=${() => setOpen(!open)} onStarted=${start} accepted=${accepted}
    setAccepted=${setAccepted} />`}<//>`;
}

function ResumePanel({ run, found, open, onOpen, onStarted, accepted, setAccepted }) {
  const where = found.step === null ? "from the last finished stage" : `${found.stage}, step ${integer(found.step)}`;
  const start = async () => {
    const { process } = await post(`api/runs/${encodeURIComponent(run)}/resume`, { accept: accepted });
    onStarted(process);
  };
  if (!open) {
    return html`<p class="resume-line"><button type="button" aria-expanded="false" onClick=${onOpen}>Resume…</button>
      <span class="muted">${found.can_start ? where : found.why_not || where}</span></p>`;
  }
  return html`<div class="resume">
    <p>Goes on ${found.step === null ? where : html`after ${where}`}. Every condition below is compared again before the
      first step; a difference is refused unless it is accepted by name.</p>
    ${found.conditions.length > 0 && html`<${Conditions} rows=${found.conditions} />`}
    ${[...new Set([...accepted, ...found.acceptable])].map((name) => html`<label class="switch" key=${name}><input type="checkbox"
      checked=${accepted.includes(name)} onChange=${({ currentTarget: box }) => setAccepted(
        box.checked ? [...accepted, name] : accepted.filter((other) => other !== name))} />
      Accept another ${name.replaceAll("_", " ")}: the resume is then not called exact</label>`)}
    ${found.can_start
      ? html`<${Action} title="Resume" command=${found.command} onRun=${start} />`
      : html`<p><span class="badge block"><span class="sign" aria-hidden="true">✕</span>not from here</span> ${
          found.why_not}</p><${Command} text=${found.command} />`}
  </div>`;
}

// What differs, and what a process can differ in, stands open; the rest is the run's own configuration.
function Conditions({ rows }) {
  const open = rows.filter(({ field, verdict }) => !["same", "later"].includes(verdict)
    || (verdict === "same" && !field.includes(".")));
  const rest = rows.filter((row) => !open.includes(row));
  const table = (caption, some) => html`<${DataTable} caption=${caption} columns=${CONDITIONS} rows=${some} key="field" stack="s" />`;
  return html`${table("Conditions of the training", open)}
    ${rest.length > 0 && html`<details class="fold"><summary>${integer(rest.length)} more, of configuration and data</summary>
      ${table("Other conditions of the training", rest)}</details>`}`;
}

function Condition({ value }) {
  const tones = { same: ["✓", "pass"], safe: ["✓", "pass"], later: ["○", "neutral"], refused: ["✕", "block"] };
  const [sign, tone] = tones[value] ?? ["!", "warn"];
  return html`<span class=${`badge ${tone}`}><span class="sign" aria-hidden="true">${sign}</span>${
    value === "refused" ? "differs" : value}</span>`;
}

function shown(value) {
  if (value === null || value === undefined) return "none";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return html`<code>${/^[0-9a-f]{64}$/.test(text) ? `${text.slice(0, 12)}…` : text}</code>`;
}

/** Time and money as facts; what has no price says so once. */
export function TimeAndMoney({ run }) {
  const account = useResource(`api/runs/${encodeURIComponent(run)}/money`, { run, kinds: KINDS });
  return html`<${Resource} of=${account} lines=${2}>${(found) => html`<${Facts} items=${facts(found)} />
    ${found.cap_usd !== null && html`<${Cap} account=${found} />`}`}<//>`;
}

function facts(found) {
  const time = [
    ["Left in this stage", band(found.eta_s, duration), found.eta_s && `likely ${duration(found.eta_s[1])}`],
    ["A step", band(found.step_s, (value) => `${number(value)} s`), found.step_s && `quartiles of ${integer(found.n)}`],
  ];
  if (found.usd_per_hour === null) return [...time, ["Money", "not counted", "the run has no rate"]];
  const each = `${money(found.rate_usd_per_gpu_hour)} a GPU-hour x ${integer(found.gpus)}`;
  return [
    ...time,
    ["Rate", `${money(found.usd_per_hour)} an hour`, each],
    ["Accrued", money(found.accrued_usd), `${duration(found.billed_s)} billed`],
    ["Projected", band(found.projected_usd, money), found.projected_usd && "at the end of this stage"],
    ["Cap", money(found.cap_usd), found.stops_at_usd !== null && `saves and stops at ${money(found.stops_at_usd)}`],
  ];
}

function band(values, format) {
  if (!values) return null;
  const [low, , high] = values.map(format);
  return low === high ? low : `${low} to ${high}`;
}

function Cap({ account }) {
  const near = account.accrued_usd >= account.warns_at_usd;
  return html`<div class="cap-meter">
    <meter min="0" max=${account.cap_usd} value=${Math.min(account.accrued_usd, account.cap_usd)} high=${
      account.warns_at_usd} aria-label="Spent of the cap"></meter>
    <span>${percent(account.spent_frac)} of the cap</span>
    ${near && html`<span class="badge warn"><span class="sign" aria-hidden="true">!</span>over 80 %</span>`}
  </div>`;
}
