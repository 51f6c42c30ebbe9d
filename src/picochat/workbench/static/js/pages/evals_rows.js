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
import { Word } from "./evals_text.js";

const LIMIT = 50;
const FILTERS = [
  ["all", "all rows"], ["fail", "fail"], ["pass", "pass"], ["echo", "repeats the prompt"], ["repetition", "repeats itself"],
  ["unfinished", "unfinished"], ["unsupported", "claims what it cannot know"],
];
const START = { pages: null, row: null };

export function Rows({ run, query }) {
  const set = query.set ?? "eval";
  const cursors = (query.pages ?? "").split(".").filter(Boolean);
  const params = {
    set, filter: query.filter, category: query.category, search: query.q, against: query.against,
    cursor: cursors.at(-1), limit: LIMIT,
  };
  const found = useResource(`api/runs/${run}/rows`, { params, run, kinds: ["reports"] });
  const all = useResource("api/runs", { kinds: ["runs"] });
  const others = (all.data?.runs ?? []).map(({ name }) => name).filter((name) => name !== run);
  return html`<${Section} id="rows" title="Rows">
    <${Filters} data=${found.data} query=${query} set=${set} others=${others} />
    <${Resource} of=${found}>${(data) => html`<${List} data=${data} query=${query} run=${run} cursors=${cursors} />`}<//>
  <//>`;
}

function Filters({ data, query, set, others }) {
  const sets = data?.sets ?? [{ set, title: set, there: true }];
  const counts = data?.counts;
  const choose = (key) => (event) => setQuery({ ...START, [key]: event.currentTarget.value || null });
  const filters = query.against ? [...FILTERS, ["flipped", "verdict differs between the runs"]] : FILTERS;
  const many = (key) => (counts && key !== "all" && counts[key] !== undefined ? ` (${integer(counts[key])})` : "");
  return html`<form class="controls" role="search" onSubmit=${(event) => event.preventDefault()}>
    <label class="pick">Set <select value=${set} onChange=${(event) => setQuery({ ...START, category: null, set: event.currentTarget.value })}>
      ${sets.map(({ set: key, title, there }) => html`<option key=${key} value=${key}>${title}${there ? "" : " (none)"}</option>`)}
    </select></label>
    <label class="pick">Show <select value=${query.filter ?? "all"} onChange=${choose("filter")}>
      ${filters.map(([key, title]) => html`<option key=${key} value=${key}>${title}${many(key)}</option>`)}
    </select></label>
    <label class="pick">Category <select value=${query.category ?? ""} onChange=${choose("category")}>
      <option value="">all</option>
      ${(counts?.categories ?? []).map(({ category, n }) => html`<option key=${category} value=${category}>${category || "(none)"} (${integer(n)})</option>`)}
    </select></label>
    <label class="pick">Beside <select value=${query.against ?? ""}
      onChange=${(event) => setQuery({ ...START, against: event.currentTarget.value || null, filter: query.filter === "flipped" ? null : query.filter })}>
      <option value="">no other run</option>
      ${others.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
    </select></label>
    <label class="pick">Search <input type="search" value=${query.q ?? ""} maxlength="200" onChange=${choose("q")} /></label>
  </form>`;
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
    return html`<${Empty} what="There are no such rows" do="This set was not asked of this run." command=${data.commands.measure} />`;
  }
  if (data.state !== "ready") {
    return html`<div class="state problem"><p class="state-title">${data.artifact} cannot be read</p><p>${data.why}</p></div>`;
  }
  return html`
    ${data.torn && html`<${Partial} what="the last row is unfinished" why="a crash left it; it is left out" />`}
    ${data.unreadable > 0 && html`<${Partial} what=${`${integer(data.unreadable)} lines are no rows`} />`}
    ${!data.whole && html`<${Partial} what=${`only the first ${integer(data.counts.rows)} rows are listed`} />`}
    <p class="small muted" id="rows-found" role="status">${summary(data)}</p>
    <div class="rows-split">
      <div class="rows-list">
        <${DataTable} caption="Rows that match" rowKey="place" columns=${columns(data)} rows=${rows} stack="s"
          empty=${data.next === null ? "no row matches" : "no row matches so far"}
          rowClass=${(row) => row.place === place && "selected"}
          rowHref=${(row) => href("evals", { run, query: { ...query, row: row.place } })} />
        <div class="buttons pager">
          ${cursors.length > 0 && html`<button type="button" onClick=${() => back(cursors)}>Previous page</button>`}
          ${data.next !== null && html`<button type="button" onClick=${() => forward(cursors, data.next)}>
            ${rows.length < LIMIT ? "Search on" : `Next ${LIMIT}`}</button>`}
        </div>
      </div>
      ${place !== null && html`<${Row} key=${`${data.set}/${place}`} run=${run} set=${data.set} place=${place} row=${current}
        against=${query.against} onTurn=${turn} />`}
    </div>
    <${Command} text=${data.commands.measure} why="Measure again, in a terminal" />`;
}

function columns(data) {
  const other = data.against && {
    key: "other", title: data.against.run, render: ({ other: beside }) => beside && html`<${Word} value=${beside.verdict} />`,
  };
  return [
    { key: "id", title: "Row", render: ({ id }) => html`<span class="run-text" dir="auto">${id}</span>` },
    { key: "verdict", title: "Verdict", render: ({ verdict }) => html`<${Word} value=${verdict} />` },
    ...(other ? [other] : []),
    { key: "category", title: "Category", render: ({ category }) => html`<span class="run-text" dir="auto">${category}</span>` },
  ];
}

function summary(data) {
  const { counts, matched, scanned, against, rows } = data;
  const found = matched === null
    ? `${integer(rows.length)} found in ${integer(scanned)} rows${data.next === null ? "" : " so far"}`
    : `${integer(matched)} of ${integer(counts.rows)} rows`;
  if (!against) return found;
  if (against.state !== "ready") return `${found} · ${against.run} has no such rows`;
  return `${found} · ${integer(against.paired)} asked in ${against.run} too, ${integer(against.flipped)} with another verdict`;
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

// The list follows the row that is shown, and takes the focus where it had it.
function reveal(place) {
  const line = document.querySelector(`.rows-list tr[data-row="${place}"]`);
  if (!line) return;
  const box = line.closest(".rows-list");
  if (box.scrollHeight > box.clientHeight) box.scrollTop = line.offsetTop - box.clientHeight / 3;
  if (document.activeElement?.closest(".rows-list") && !line.contains(document.activeElement)) line.focus({ preventScroll: true });
}
