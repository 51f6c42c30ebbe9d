// Events, the newest first; filtered by kind, stage, rank and text; an address may name one by its place in the file.
import { UNKNOWN, clock, integer, number, time } from "../format.js";
import { html, useState } from "../html.js";
import { setQuery } from "../router.js";
import { announce } from "../store.js";
import { Section } from "../parts/page.js";
import { Empty, Loading, ProblemBox } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Export } from "./events_export.js";
import { useWindow } from "./events_window.js";

const TONES = { failed: ["✕", "block"], warning: ["!", "warn"], guard_skipped: ["!", "warn"], resumed: ["⟳", "stale"] };
const SHOWN = 200;

export function Events({ run, query }) {
  const { kind = "", stage = "", rank = "", text = "" } = query;
  const at = /^\d+$/.test(query.offset ?? "") ? Number(query.offset) : null;
  const [follow, setFollow] = useState(true);
  const params = { kind, stage, rank, text, limit: SHOWN };
  const events = useWindow(`api/runs/${run}/events`, { params, run, list: "rows", kind: "events", at, follow: follow && at === null });
  const { kinds = [], stages = [], command } = events.extra;
  const rows = at === null ? events.items.toReversed() : events.items;
  const failure = async () => {
    const { rows: found } = await events.search({ kind: "failed", stage: null, rank: null, text: null, offset: 0, limit: 1 });
    if (found.length) setQuery({ offset: found[0].offset, kind: null, stage: null, text: null, rank: null }, { replace: false });
    else announce("No event says that something failed");
    setNone(found.length === 0);
  };
  const [none, setNone] = useState(false);
  return html`<${Section} id="events" title="Events" aside=${events.size !== null && `${integer(events.size)} bytes`}>
    <form class="controls" role="search" onSubmit=${(event) => event.preventDefault()}>
      <${Choice} label="Kind" name="kind" value=${kind} options=${kinds} />
      <${Choice} label="Stage" name="stage" value=${stage} options=${stages} />
      <${Field} label="Rank" name="rank" value=${rank} pattern="\\d*" size="3" />
      <${Field} label="Holds" name="text" value=${text} type="search" />
      ${at === null
        ? html`<label class="switch"><input type="checkbox" checked=${follow} onChange=${(event) => setFollow(event.currentTarget.checked)} /> Follow</label>`
        : html`<button type="button" onClick=${() => setQuery({ offset: null, step: null })}>Back to the newest</button>`}
      <button type="button" onClick=${failure}>First failure</button>
      <${Export} name=${`${run}-events.txt`} text=${() => events.items.map(line).join("\n")} />
    </form>
    ${none && html`<p role="status" class="lead">No event of this run says that something failed.</p>`}
    <${Rows} events=${events} rows=${rows} at=${at} command=${command} filtered=${Boolean(kind || stage || rank || text)} />
  <//>`;
}

function Rows({ events, rows, at, command, filtered }) {
  const { state, why, busy, error, begin, end, size, whole } = events;
  if (state === null) return error ? html`<${ProblemBox} error=${error} onRetry=${events.again} />` : html`<${Loading} lines=${8} />`;
  if (state === "missing") return html`<${Empty} what="This run has written no event yet" do="The first one comes when its first stage begins." command=${command} />`;
  if (state === "unreadable") return html`<${ProblemBox} error=${{ detail: "events.jsonl cannot be read", why }} />`;
  const older = html`<${More} busy=${busy} off=${begin === 0} onClick=${events.older} title=${whole || rows.length ? "Earlier events" : "Search further back"} />`;
  const newer = html`<${More} busy=${busy} off=${end >= size} onClick=${events.newer} title="Later events" />`;
  return html`${error && html`<${ProblemBox} error=${error} onRetry=${events.newer} />`}
    ${at !== null && older}
    <div class="event-table"><${DataTable} caption="Events" columns=${COLUMNS} rows=${rows} key="offset" stack="m" rowClass=${(row) => (row.offset === at ? "selected" : "")}
      empty=${!whole ? "nothing in the part that was searched" : filtered ? "no event answers to this" : "no event yet"} /></div>
    ${at === null ? older : newer}`;
}

const COLUMNS = [
  { key: "t", title: "Time (UTC)", render: (row) => row.t && html`<span title=${time(row.t)}>${clock(row.t)}</span>` },
  { key: "attempt", title: "Attempt", align: "right", render: (row) => row.attempt !== null && String(row.attempt) },
  { key: "stage", title: "Stage" },
  { key: "kind", title: "Kind", render: (row) => (row.problem ? html`<${Kind} value="broken line" tone=${["✕", "block"]} />`
    : html`<${Kind} value=${row.kind} tone=${TONES[row.kind]} />`) },
  { key: "fields", title: "What it says", render: (row) => (row.problem || html`<${Fields} fields=${row.fields} />`) },
];

function Kind({ value, tone }) {
  if (!tone) return value?.replaceAll("_", " ") ?? UNKNOWN;
  return html`<span class=${`badge ${tone[1]}`}><span class="sign" aria-hidden="true">${tone[0]}</span>${value.replaceAll("_", " ")}</span>`;
}

function Fields({ fields }) {
  const entries = Object.entries(fields);
  if (entries.length === 0) return html`<span class="muted">—</span>`;
  return html`<span class="event-fields">${entries.map(([key, value]) => html`<span key=${key}><span class="muted">${key}</span>${" "}${word(value)}</span>`)}</span>`;
}

function word(value) {
  if (value === null) return UNKNOWN;
  if (typeof value === "number") return number(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function line(row) {
  if (row.problem) return row.problem;
  return [row.t, row.attempt, row.stage, row.kind, JSON.stringify(row.fields)].map((part) => part ?? UNKNOWN).join(" ");
}

/** A button to the part of a file that comes next; where there is none, it says so. */
export function More({ title, busy, off, onClick }) {
  return html`<p class="paged">${off ? html`<span class="muted">${title === "Later events" ? "this is the end" : "this is the beginning"}</span>`
    : html`<button type="button" disabled=${busy} onClick=${onClick}>${busy ? "Reading …" : title}</button>`}</p>`;
}

function Choice({ label, name, value, options }) {
  return html`<label>${label} ${" "}<select value=${value} onChange=${(event) => setQuery({ [name]: event.currentTarget.value || null, offset: null })}>
    <option value="">all</option>
    ${value && !options.includes(value) && html`<option value=${value}>${value}</option>`}
    ${options.map((option) => html`<option key=${option} value=${option}>${option.replaceAll("_", " ")}</option>`)}
  </select></label>`;
}

function Field({ label, name, value, ...more }) {
  const use = (event) => setQuery({ [name]: event.currentTarget.value || null, offset: null });
  return html`<label>${label} ${" "}<input value=${value} spellcheck="false" autocomplete="off" maxlength="200" onChange=${use} ...${more} /></label>`;
}
