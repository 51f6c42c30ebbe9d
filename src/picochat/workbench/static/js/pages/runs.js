// All runs of the folder: filtered, searched and sorted by the address, selected to be compared.
import { age, bpb, count, duration, integer, money, percent, rate } from "../format.js";
import { html, useEffect, useMemo } from "../html.js";
import { useShortcut } from "../keys.js";
import { useResource } from "../live.js";
import { go, href, setQuery } from "../router.js";
import { announce } from "../store.js";
import { Command } from "../parts/command.js";
import { PageHead } from "../parts/page.js";
import { Empty, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { RunState, Verdict } from "../parts/verdict.js";

const KINDS = ["runs", "status", "gate", "reports"];
const MOST = 8;
const SCREENFUL = 40;
// A process that dies writes nothing: while one works the list is asked again now and then.
const LOOK_AGAIN_MS = 3000;
const AT_WORK = ["running", "stalled"];
const STATES = ["running", "stalled", "crashed", "stopped", "finished", "failed", "blocked", "unreadable", "unknown"];
const GATES = [["approved", "approved"], ["warn", "warn"], ["blocked", "blocked"], ["stale", "stale"], ["none", "no verdict"]];

export default function Page({ query }) {
  const runs = useResource("api/runs", { kinds: KINDS });
  const atWork = runs.data?.runs.some(({ process }) => AT_WORK.includes(process)) ?? false;
  const { reload } = runs;
  useEffect(() => {
    if (!atWork) return undefined;
    const timer = setInterval(() => document.hidden || reload(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [atWork, reload]);
  return html`<${PageHead} title="Runs">${runs.data && html`in <code>${runs.data.folder}</code>`}<//>
    <${Resource} of=${runs} lines=${8}>${(data) => html`<${List} ...${data} query=${query} />`}<//>`;
}

function List({ runs, others, others_count: othersCount, folder, query }) {
  const picked = useMemo(() => pickedOf(query, runs), [query.pick, runs]);
  const shown = useMemo(() => runs.filter(chosen(query)), [runs, query.q, query.state, query.gate]);
  const compare = () => {
    if (picked.size < 2) announce("Select two runs or more to compare them");
    else go("compare", { query: { runs: [...picked].join() } });
  };
  useShortcut("c", compare, "compare the selected runs");
  const select = (name, on) => {
    const next = new Set(picked);
    if (!on) next.delete(name);
    else if (next.size < MOST) next.add(name);
    else announce(`At most ${MOST} runs are compared`);
    setQuery({ pick: [...next].join() });
  };
  if (runs.length === 0) {
    return html`<${Empty} what="No run lies here yet" do="One command makes one, from built-in text to a verdict, in minutes."
      command="picochat demo" /><${Others} others=${others} count=${othersCount} />`;
  }
  return html`<${Filters} query=${query} all=${runs} shown=${shown.length} />
    <${Compare} picked=${[...picked]} folder=${folder} onCompare=${compare} />
    <${DataTable} caption="Runs" columns=${COLUMNS} rows=${shown} rowKey="name" rowHref=${rowHref} param="sort" stack="l"
      selected=${picked} onSelect=${select} order="-created_at" firstRows=${SCREENFUL} empty="No run fits the filter." />
    <${Others} others=${others} count=${othersCount} />`;
}

const rowHref = ({ name }) => href("overview", { run: name });

const COLUMNS = [
  { key: "name", title: "Run", sort: true, render: ({ name, profile }) => two(name, profile) },
  { key: "state", title: "State", sort: true, render: State },
  { key: "progress", title: "Progress", align: "right", sort: progressOf, render: Progress },
  { key: "parameters", title: "Params", align: "right", sort: true, render: (run) => count(run.parameters) },
  { key: "best_bpb", title: "Best BPB", align: "right", sort: (run) => run.best_bpb?.bpb, render: BestBpb },
  { key: "heldout", title: "Held-out fit", align: "right", sort: (run) => run.heldout?.rate, render: (run) => Rate(run.heldout) },
  { key: "eval", title: "Eval", align: "right", sort: (run) => run.eval?.rate, render: (run) => Rate(run.eval) },
  { key: "verdict", title: "Gate", sort: true, render: Gate },
  { key: "tokens_per_s", title: "Tokens/s", align: "right", sort: true, render: (run) => count(run.tokens_per_s) },
  { key: "eta_s", title: "Left", align: "right", sort: true, render: (run) => duration(run.eta_s) },
  { key: "spent_usd", title: "Cost", align: "right", sort: true, render: Cost },
  { key: "created_at", title: "Age", align: "right", sort: true, render: (run) => age(run.created_at) },
];

// One element a cell: where the table is a list of labels and values, the cell is a grid of the two.
function two(value, below, tone = "") {
  return html`<div>${value}${below && html`<span class=${`sub ${tone}`}>${below}</span>`}</div>`;
}

function State({ state, stage, process, unreadable }) {
  const note = state !== process && state === "blocked" ? null : stage;
  const [broken] = unreadable;
  return two(html`<${RunState} value=${state} note=${note} />`, broken && `${broken.file}: ${broken.why}`, "why");
}

function progressOf({ step, steps }) {
  return step !== null && steps ? step / steps : null;
}

function Progress(run) {
  const part = progressOf(run);
  if (part === null) return "—";
  return two(percent(part), `${integer(run.step)} of ${integer(run.steps)}`);
}

function BestBpb({ best_bpb: best }) {
  if (!best) return "—";
  return two(bpb(best.bpb), `at ${integer(best.step)}${best.stage === "base" ? "" : ` ${best.stage}`}`);
}

/** A rate with its interval and n. */
function Rate(score) {
  if (!score) return "—";
  const ends = score.interval?.map((end) => percent(end).replace(" %", "")).join("–");
  return two(rate(score.rate), [ends, score.n !== null && `n ${integer(score.n)}`].filter(Boolean).join(", "));
}

function Gate({ verdict, judged_under: profile, stale }) {
  if (!verdict) return "—";
  return two(html`<${Verdict} value=${verdict} />${stale && html` <${Verdict} value="stale" />`}`, profile);
}

function Cost({ spent_usd: spent, cap_usd: cap }) {
  if (spent === null) return "—";
  return two(money(spent), cap !== null && `of ${money(cap)}`);
}

function pickedOf(query, runs) {
  const names = new Set(runs.map(({ name }) => name));
  return new Set((query.pick ?? "").split(",").filter((name) => names.has(name)).slice(0, MOST));
}

function chosen({ q, state, gate }) {
  const words = (q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  return (run) => {
    if (state && run.state !== state) return false;
    if (gate && gateOf(run) !== gate) return false;
    const text = [run.name, run.profile, run.state, run.stage, run.verdict, run.judged_under].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  };
}

function gateOf({ verdict, stale }) {
  return stale ? "stale" : verdict ?? "none";
}

function Filters({ query, all, shown }) {
  const there = new Set(all.map(({ state }) => state));
  const states = STATES.filter((state) => there.has(state) || state === query.state);
  const gates = GATES.filter(([key]) => key === query.gate || all.some((run) => gateOf(run) === key));
  const set = (key) => (event) => setQuery({ [key]: event.currentTarget.value });
  const filtered = Boolean(query.q || query.state || query.gate);
  return html`<form class="controls" role="search" onSubmit=${(event) => event.preventDefault()}>
    <label class="inline">Search <input type="search" value=${query.q ?? ""} onInput=${set("q")} placeholder="name, profile, state"
      autocomplete="off" spellcheck="false" /></label>
    <label class="inline">State <select value=${query.state ?? ""} onChange=${set("state")}>
      <option value="">all</option>${states.map((state) => html`<option key=${state} value=${state}>${state}</option>`)}
    </select></label>
    <label class="inline">Gate <select value=${query.gate ?? ""} onChange=${set("gate")}>
      <option value="">all</option>${gates.map(([key, title]) => html`<option key=${key} value=${key}>${title}</option>`)}
    </select></label>
    <span class="muted">${filtered ? `${integer(shown)} of ${integer(all.length)}` : integer(all.length)} ${all.length === 1 ? "run" : "runs"}</span>
    ${filtered && html`<button type="button" onClick=${() => setQuery({ q: null, state: null, gate: null })}>Show all</button>`}
  </form>`;
}

function Compare({ picked, folder, onCompare }) {
  if (picked.length === 0) return null;
  const enough = picked.length > 1;
  return html`<div class="picked">
    <button type="button" class="primary" disabled=${!enough} onClick=${onCompare}>Compare ${picked.length} runs</button>
    ${enough
      ? html`<${Command} text=${["picochat compare", ...picked.map((name) => `${folder}/${name}`)].join(" ")} />`
      : html`<span class="muted">select another one</span>`}
    <button type="button" onClick=${() => setQuery({ pick: null })}>Select none</button>
  </div>`;
}

function Others({ others, count: all }) {
  if (all === 0) return null;
  return html`<details class="fold others"><summary>${integer(all)} ${all === 1 ? "folder" : "folders"} here ${all === 1 ? "is" : "are"} not shown as runs</summary>
    <ul>${others.map(({ name, why }, i) => html`<li key=${i}><code>${name}</code>: ${why}</li>`)}</ul>
    ${all > others.length && html`<p class="muted">and ${integer(all - others.length)} more</p>`}
  </details>`;
}
