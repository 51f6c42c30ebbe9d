// Stored rows: filters, a list that j and k walk through, and the row beside it.
import { integer } from "../format.js";
import { html, useEffect } from "../html.js";
import { useShortcut } from "../keys.js";
import { useResource } from "../live.js";
import { href, setQuery } from "../router.js";
import { Command } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Empty, Partial, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Row } from "./evals_row.js";
import { Unreadable, Word } from "./evals_text.js";

const LIMIT = 50;
const LIST_CHARS = 80;
const FILTERS = [
  ["all", "all rows"], ["fail", "fail"], ["pass", "pass"], ["echo", "repeats the prompt"],
  ["repetition", "repeats itself"], ["unfinished", "unfinished"], ["unsupported", "claims what it cannot know"],
  ["refused", "refuses a harmless request"],
];
const FLIPPED = ["flipped", "verdict differs between the runs"];
const START = { pages: null, row: null };

export function Rows({ run, query }) {
  const set = query.set ?? "eval";
  const cursors = (query.pages ?? "").split(".").filter(Boolean);
  const { filter, category, q: search, against } = query;
  const params = { set, filter, category, search, against, cursor: cursors.at(-1), limit: LIMIT };
  const found = useResource(`api/runs/${run}/rows`, { params, run, kinds: ["reports"] });
  const all = useResource("api/runs", { kinds: ["runs"] });
  const others = (all.data?.runs ?? []).map(({ name }) => name).filter((name) => name !== run);
  return html`<${Section} id="rows" title="Rows">
    <${Filters} data=${found.data} query=${query} set=${set} others=${others} />
    <${Resource} of=${found}>${(data) => html`<${List} data=${data} query=${query} run=${run} cursors=${cursors} />`}<//>
  <//>`;
}

function Filters({ data, query, set, others }) {
  const { sets = [{ set, title: set, there: true }], counts = null } = data ?? {};
  const change = (patch) => setQuery({ ...START, ...patch });
  const filters = query.against ? [...FILTERS, FLIPPED] : FILTERS;
  const many = (key) => (counts?.[key] === undefined ? "" : ` (${integer(counts[key])})`);
  const categories = (counts?.categories ?? []).map(({ category, title, n }) => (
    [category, `${cut(title) || "(none)"} (${integer(n)})`]));
  return html`<form class="controls" role="search" onSubmit=${(event) => event.preventDefault()}>
    <${Pick} label="Set" value=${set} onPick=${(value) => change({ set: value, category: null })}
      options=${sets.map(({ set: key, title, there }) => [key, `${title}${there ? "" : " (none)"}`])} />
    <${Pick} label="Show" value=${query.filter ?? "all"} onPick=${(value) => change({ filter: value })}
      options=${filters.map(([key, title]) => [key, `${title}${many(key)}`])} />
    <${Pick} label="Category" value=${query.category ?? ""} onPick=${(value) => change({ category: value })}
      options=${[["", "all"], ...categories]} />
    <${Pick} label="Beside" value=${query.against ?? ""} options=${[["", "no other run"], ...others.map((name) => [name, name])]}
      onPick=${(value) => change({ against: value, filter: query.filter === "flipped" ? null : query.filter })} />
    <label class="ev-pick">Search <input type="search" value=${query.q ?? ""} maxlength="200" onKeyDown=${leave}
      onChange=${(event) => change({ q: event.currentTarget.value })} /></label>
  </form>`;
}

// Esc leaves the field and keeps what was searched for; the browser would empty it.
function leave(event) {
  if (event.key !== "Escape") return;
  event.preventDefault();
  event.currentTarget.blur();
}

function Pick({ label, value, options, onPick }) {
  return html`<label class="ev-pick">${label} <select value=${value} onChange=${(event) => onPick(event.currentTarget.value)}>
    ${options.map(([key, title]) => html`<option key=${key} value=${key} selected=${key === value}>${title}</option>`)}
  </select></label>`;
}

function List({ data, query, run, cursors }) {
  const { rows } = data;
  const listed = query.row === "last" ? rows.at(-1) : rows.find(({ place: at }) => String(at) === query.row);
  const alone = !listed && /^\d+$/.test(query.row ?? "");
  const current = listed ?? (alone ? null : rows[0] ?? null);
  const place = alone ? Number(query.row) : current?.place ?? null;
  const turn = (step) => move(step, rows, place, data.next, cursors);
  useShortcut("j", () => turn(1), "next row");
  useShortcut("k", () => turn(-1), "previous row");
  useEffect(() => reveal(place), [place]);
  if (data.state === "missing") {
    return html`<${Empty} what="There are no such rows" do="This set was not asked of this run."
      command=${data.commands.measure} />`;
  }
  if (data.state !== "ready") return html`<${Unreadable} artifact=${data.artifact} why=${data.why} />`;
  return html`
    <${Limits} of=${data} />
    <p class="small muted" role="status">${summary(data)}</p>
    <div class="ev-rows-split">
      <div class="ev-rows-list">
        <${DataTable} caption="Rows that match" rowKey="place" columns=${columns(data)} rows=${rows} stack="s"
          empty=${data.next === null ? "no row matches" : "no row matches so far"}
          rowClass=${(row) => row.place === place && "selected"}
          rowHref=${(row) => href("evals", { run, query: { ...query, row: row.place } })} />
        <div class="buttons ev-pager">
          ${cursors.length > 0 && html`<button type="button" onClick=${() => back(cursors)}>Previous page</button>`}
          ${data.next !== null && html`<button type="button" onClick=${() => forward(cursors, data.next)}>
            ${rows.length < LIMIT ? "Search on" : `Next ${LIMIT}`}</button>`}
        </div>
      </div>
      ${place !== null && html`<${Row} key=${`${data.set}/${place}`} run=${run} set=${data.set} place=${place}
        row=${current} against=${query.against} onTurn=${turn} ends=${ends(data, place, cursors)} />`}
    </div>
    <${Command} text=${data.commands.measure} why="Measure again, in a terminal" />`;
}

function Limits({ of: { torn, unreadable, whole, counts } }) {
  return html`
    ${torn && html`<${Partial} what="the last row is unfinished" why="a crash left it; it is left out" />`}
    ${unreadable > 0 && html`<${Partial} what=${`${integer(unreadable)} lines are no rows`} />`}
    ${!whole && html`<${Partial} what=${`only the first ${integer(counts.rows)} rows are listed`} />`}`;
}

function columns({ against }) {
  const text = (key) => (row) => html`<span class="ev-run-text" dir="auto">${cut(row[key])}</span>`;
  const beside = ({ other }) => (other?.same_question ? html`<${Word} value=${other.verdict} />` : null);
  return [
    { key: "id", title: "Row", render: text("id") },
    { key: "verdict", title: "Verdict", render: ({ verdict }) => html`<${Word} value=${verdict} />` },
    ...(against ? [{ key: "other", title: against.run, render: beside }] : []),
    { key: "category", title: "Category", render: text("category") },
  ];
}

function cut(text) {
  return text.length > LIST_CHARS ? `${text.slice(0, LIST_CHARS)}…` : text;
}

function summary({ counts, matched, scanned, against, rows, next }) {
  const found = matched === null
    ? `${integer(rows.length)} found in ${integer(scanned)} rows${next === null ? "" : " so far"}`
    : `${integer(matched)} of ${integer(counts.rows)} rows`;
  if (!against) return found;
  if (against.state !== "ready") return `${found} · ${against.run} has no such rows`;
  const { paired, flipped, run } = against;
  return `${found} · ${integer(paired)} asked in ${run} too, ${integer(flipped)} with another verdict`;
}

// Whether there is a row before and one after.
function ends({ rows, next }, place, cursors) {
  return [rows[0]?.place === place && cursors.length === 0, rows.at(-1)?.place === place && next === null];
}

function forward(cursors, next) {
  setQuery({ pages: [...cursors, next].join("."), row: null }, { replace: false });
}

function back(cursors, row = null) {
  setQuery({ pages: cursors.slice(0, -1).join(".") || null, row }, { replace: false });
}

function move(step, rows, place, next, cursors) {
  const at = rows.findIndex((row) => row.place === place) + step;
  if (rows[at]) setQuery({ row: rows[at].place });
  else if (step > 0 && next !== null) forward(cursors, next);
  else if (step < 0 && cursors.length > 0) back(cursors, "last");
}

// The list follows the row that is shown, and takes the focus with it where it had it.
function reveal(place) {
  const line = document.querySelector(`.ev-rows-list tr[data-row="${place}"]`);
  if (!line) return;
  const box = line.closest(".ev-rows-list");
  if (box.scrollHeight > box.clientHeight) box.scrollTop = line.offsetTop - box.clientHeight / 3;
  const focused = document.activeElement;
  if (focused?.closest(".ev-rows-list") && !line.contains(focused)) line.focus({ preventScroll: true });
}
