// One run at a glance: where it is, what blocks it, what to do next, eight facts, three small curves, its files.
import { age, bpb, bytes, count, duration, integer, money, percent } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { useResource } from "../live.js";
import { href } from "../router.js";
import { Alerts } from "../parts/alerts.js";
import { Command } from "../parts/command.js";
import { Facts, PageHead, Section } from "../parts/page.js";
import { Partial, Resource } from "../parts/states.js";
import { RunState, Verdict } from "../parts/verdict.js";
import { SmallCurves } from "./overview_curves.js";

const KINDS = ["runs", "status", "gate", "reports", "checkpoints"];
const LOOK_AGAIN_MS = 2000;
const AT_WORK = ["running", "stalled"];
const DOING = ["running", "stalled", "crashed", "stopped", "failed", "unreadable"];
const LONG = 240;
const TOLD = ["stalled", "crashed", "blocked"];
const TITLES = { sft: "SFT" };

export default function Page({ run }) {
  const overview = useResource(`api/runs/${run}`, { run, kinds: KINDS });
  const atWork = AT_WORK.includes(overview.data?.run.process);
  const { reload } = overview;
  useEffect(() => {
    if (!atWork) return undefined;
    const timer = setInterval(() => document.hidden || reload(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [atWork, reload]);
  return html`<${PageHead} title="Overview" run=${run}>${overview.data && html`<${Since} ...${overview.data.run} />`}<//>
    <${Resource} of=${overview} lines=${10}>${(data) => html`<${Glance} data=${data} name=${run} />`}<//>`;
}

function Since({ profile, attempt, created_at: created, updated_at: updated, beat_age_s: beat, process }) {
  const words = [profile, attempt > 1 && `attempt ${integer(attempt)}`, created && `begun ${age(created)}`];
  if (beat !== null && AT_WORK.includes(process)) words.push(`heartbeat ${age(beat)}`);
  else if (updated) words.push(`last heard of ${age(updated)}`);
  return words.filter(Boolean).join(" · ");
}

function Glance({ data, name }) {
  const { rail, next, blocker, facts, files } = data;
  return html`<div class="glance">
    <${Alerts} run=${name} told=${TOLD} />
    ${data.run.unreadable.map(({ file, why }) => html`<${Partial} key=${file} what=${`${file} cannot be used`} why=${why} />`)}
    <${Rail} rail=${rail} run=${name} />
    <div class="glance-pair">
      <${Next} next=${next} blocker=${blocker} run=${name} error=${data.run.error} />
      <${Section} id="facts" title="Facts"><${Facts} items=${factItems(facts)} /><//>
    </div>
    <${SmallCurves} run=${name} stage=${facts.tokens.stage ?? "base"} />
    <div class="glance-end"><${Files} files=${files} run=${name} /><${Control} run=${name} atWork=${AT_WORK.includes(data.run.process)} /></div>
  </div>`;
}

/** Read when it is opened: what a stop or a resume would do, and what the run costs. */
function Control({ run, atWork }) {
  const [parts, setParts] = useState(null);
  const onToggle = (event) => event.currentTarget.open && import("../parts/run_control.js").then(setParts,
    (error) => setParts({ problem: String(error?.message ?? error) }));
  return html`<details class="fold control" onToggle=${onToggle}>
    <summary>${atWork ? "Stop, time and money" : "Resume, time and money"}</summary>
    ${parts?.problem && html`<${Partial} what="this part could not be loaded" why=${parts.problem} />`}
    ${parts?.RunControl && html`<${parts.RunControl} run=${run} /><${parts.TimeAndMoney} run=${run} />`}
  </details>`;
}

/** The stages in their order: state or verdict, time, and the page that shows each. */
function Rail({ rail, run }) {
  return html`<nav class="rail-nav" aria-label="Stages"><ol class="rail">${rail.map((step) => html`<li key=${step.name}
    class=${step.state}>
    <a href=${href(step.page, { run, query: step.tab ? { tab: step.tab } : {} })}>
      <span class="rail-name">${TITLES[step.name] ?? step.name}</span>
      <${Mark} ...${step} />
      <span class="rail-time">${step.elapsed_s === null ? "" : duration(step.elapsed_s)}</span>
    </a>
  </li>`)}</ol></nav>`;
}

function Mark({ state, verdict }) {
  if (DOING.includes(state)) return html`<${RunState} value=${state} />`;
  if (verdict) return html`<${Verdict} value=${verdict} />`;
  return state === "finished" ? html`<${RunState} value="finished" />` : html`<${Verdict} value="not_run" />`;
}

function Next({ next, blocker, run, error }) {
  return html`<${Section} id="next" title="Next">
    <div class=${`next ${blocker ? "blocked" : ""}`}>
      ${blocker && html`<p class="blocker"><${Verdict} value=${blocker.verdict} />${" "}
        <a href=${href("gate", { run, query: { tab: blocker.set, check: blocker.id } })}>${blocker.id}</a>${" "}
        <span class="measured">${blocker.measured}${blocker.threshold !== "—" && `, asked for ${blocker.threshold}`}</span>
        <span class="small muted">${` ${blocker.why}`}${blocker.others > 0 && `; ${integer(blocker.others)} more block`}</span></p>`}
      <p class="sentence">${next.sentence}</p>
      <${NextCommand} text=${next.command} />
      ${error && html`<p class="small muted">${error}</p>`}
    </div>
  <//>`;
}

// A run with many settings is resumed by a long command: three lines of it, the rest on demand, all of it by Copy.
function NextCommand({ text }) {
  if (text.length < LONG) return html`<${Command} text=${text} />`;
  return html`<div class="long"><${Command} text=${text} /></div>
    <details class="whole"><summary>The whole command</summary><code>${text}</code></details>`;
}

function factItems({ parameters, tokens, best_bpb: best, heldout, eval: score, tokens_per_s: speed, time, cost }) {
  const planned = tokens.planned === null ? null : `of ${count(tokens.planned)}${tokens.stage ? `, ${tokens.stage}` : ""}`;
  return [
    ["Parameters", count(parameters)],
    ["Tokens seen", count(tokens.seen), planned],
    ["Best BPB", bpb(best?.bpb), best && `at step ${integer(best.step)}, ${best.stage}`],
    ["Held-out fit", percent(heldout?.rate), note(heldout)],
    ["Eval", percent(score?.rate), note(score)],
    ["Tokens/s", count(speed)],
    ["Time", duration(time.elapsed_s), time.eta_s === null ? null : `${duration(time.eta_s)} left in this stage`],
    ["Cost", money(cost.spent_usd), cost.cap_usd === null ? null : `of ${money(cost.cap_usd)}`],
  ];
}

function note(score) {
  if (!score) return null;
  const ends = score.interval?.map((end) => percent(end).replace(" %", "")).join("–");
  return [ends, score.n !== null && `n = ${integer(score.n)}`].filter(Boolean).join(", ");
}

/** A report opens by itself and can do nothing; records are kept as files. */
function Files({ files, run }) {
  if (files.length === 0) return null;
  return html`<div class="files"><h2 class="unseen">Files</h2><ul>${files.map(({ name, bytes: size, meaning }) => html`<li key=${name}>
    <a href=${`api/runs/${encodeURIComponent(run)}/files/${name}`} title=${meaning} target="_blank" rel="noopener noreferrer"
      download=${name.endsWith(".html") ? null : `${run}-${name}`}>${name}</a> <span class="muted">${bytes(size)}</span>
  </li>`)}</ul></div>`;
}
