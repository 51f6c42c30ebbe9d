// Check results as a table: the failing ones first and open, each with what mends it and where its numbers stand.
//
//   <${Checks} rows=${rows} caption="Checks of the gate" openFirst copy="gate" />
//
// A row is what the API gives: views/checks.py's words, beside the values as they are stored.
import { duration } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { CopyButton, Command } from "./command.js";
import { Verdict } from "./verdict.js";

const OPEN_AT_FIRST = 3;
const MOST_PLACES = 6;
const COLUMNS = ["verdict", "check", "measured", "asked for", "counts"];

/**
 * `openFirst` opens what blocks, the first few of it. `selected` is the id that a link leads to; `onSelect(id)` hears
 * which row was opened last. `copy` is a name for what is copied, `markdown` its text where the server has one.
 * `judged` is when they were judged: another moment opens what blocks then. `detail(row)` adds to what stands below an
 * open row. `filter` shows a choice of all rows or failing ones.
 */
export function Checks({
  rows, caption = "Checks", openFirst = false, copy = null, markdown = null, selected = null, onSelect = null,
  detail = null, filter = false, empty = "no checks", judged = null,
}) {
  const [open, setOpen] = useState(() => new Set(openFirst ? firstOpen(rows) : []));
  const [failing, showFailing] = useState(false);
  const shown = failing ? rows.filter(needsCare) : rows;
  useEffect(() => {
    if (selected && rows.some((row) => row.id === selected)) setOpen((before) => new Set(before).add(selected));
  }, [selected]);
  // Judged again: what blocks now opens too, and what its reader opened stays as it is.
  const seen = useRef(judged);
  useEffect(() => {
    if (seen.current === judged) return;
    seen.current = judged;
    if (openFirst) setOpen((before) => new Set([...before, ...firstOpen(rows)]));
  }, [judged]);
  const toggle = (id) => {
    const next = new Set(open);
    const opens = !next.delete(id);
    if (opens) next.add(id);
    setOpen(next);
    if (onSelect) onSelect(opens ? id : null);
  };
  return html`<div class="checks">
    ${(filter || copy) && html`<div class="controls">
      ${filter && html`<label class="switch"><input type="checkbox" checked=${failing}
        onChange=${(event) => showFailing(event.currentTarget.checked)} /> Only what does not pass</label>`}
      ${copy && html`<${CopyButton} label="Copy as Markdown" what=${`Copied the ${copy} as Markdown`}
        text=${() => markdown || rowsMarkdown(rows)} />
      <${CopyButton} label="Copy as JSON" what=${`Copied the ${copy} as JSON`} text=${() => rowsJson(rows)} />`}
    </div>`}
    <div class="table-wrap stack-m">
      <table role="table" data-walk>
        <caption class="unseen">${caption}</caption>
        <thead role="rowgroup"><tr role="row">
          ${COLUMNS.map((title) => html`<th role="columnheader" scope="col" key=${title}>${title}</th>`)}
        </tr></thead>
        <tbody role="rowgroup">
          ${shown.length === 0 && html`<tr role="row"><td role="cell" class="none" colspan=${COLUMNS.length}>${
            failing ? "everything passes" : empty}</td></tr>`}
          ${shown.map((row) => html`<${Row} key=${row.id} row=${row} open=${open.has(row.id)} toggle=${toggle}
            linked=${row.id === selected} detail=${detail} />`)}
        </tbody>
      </table>
    </div>
  </div>`;
}

function Row({ row, open, toggle, linked, detail }) {
  const place = useRef(null);
  useEffect(() => {
    if (!linked) return;
    place.current.scrollIntoView({ block: "center" });
    place.current.focus({ preventScroll: true });
  }, [linked]);
  const id = `check-${row.id}`;
  return html`<tr role="row" data-row=${row.id} tabindex="-1" ref=${place} class=${linked ? "selected" : null}
      data-verdict=${row.verdict}>
      <td role="cell" data-label="verdict" class="check-verdict"><${Verdict} value=${row.verdict} />
        ${row.stale && html`${" "}<${Verdict} value="stale" />`}</td>
      <th role="rowheader" scope="row" data-label="check"><button type="button" class="check-toggle" data-open
        aria-expanded=${open} aria-controls=${id} onClick=${() => toggle(row.id)}>
        <span class="sign" aria-hidden="true">${open ? "▾" : "▸"}</span><span>${row.id}${
          row.title && html`<span class="check-title">${row.title}</span>`}</span></button></th>
      <td role="cell" data-label="measured" class="figure">${row.measured}</td>
      <td role="cell" data-label="asked for" class="figure">${row.threshold}</td>
      <td role="cell" data-label="counts" class="muted">${row.advisory ? "shown only" : row.required ? "required"
        : "advisory"}</td>
    </tr>
    ${open && html`<tr role="row" class="check-detail" id=${id}>
      <td role="cell" colspan=${COLUMNS.length}><${Detail} row=${row} more=${detail} /></td>
    </tr>`}`;
}

function Detail({ row, more }) {
  const places = row.places ?? [];
  return html`<div class="check-body">
    <p>${row.why}</p>
    ${row.waiver && html`<p><b>Waiver</b> ${row.waiver}</p>`}
    ${row.fix && !(row.commands ?? []).includes(row.fix) && html`<p><b>Fix</b> ${row.fix}</p>`}
    ${(row.commands ?? []).length > 0 && html`<div class="check-commands">
      ${row.blanks.length > 0 && html`<p class="small">Fill in ${row.blanks.join(", ")}.</p>`}
      ${row.commands.map((command) => html`<${Command} key=${command} text=${command} />`)}</div>`}
    ${row.stale && html`<p><b>Stale</b> the files below are others now than those that were judged</p>`}
    ${places.length > 0 && html`<p class="small"><b>Evidence</b> ${places.slice(0, MOST_PLACES).map((place, at) =>
      html`${at > 0 ? ", " : ""}<code>${place.artifact}${place.pointer ? `#${place.pointer}` : ""}</code>`)}${
      places.length > MOST_PLACES && ` and ${places.length - MOST_PLACES} more`}</p>`}
    ${typeof row.seconds === "number" && html`<p class="small muted">judged in ${duration(row.seconds)}</p>`}
    ${(row.inputs ?? []).length > 0 && html`<p class="small muted">judged on sha256 ${row.inputs.map((digest) =>
      digest.slice(0, 12)).join(", ")}</p>`}
    ${row.waive && html`<details><summary>Let it go, with a name, a reason and an expiry</summary>
      <${Command} text=${row.waive} /></details>`}
    ${more && more(row)}
  </div>`;
}

/** What a person has to look at: everything that is no pass. */
export function needsCare(row) {
  return row.verdict !== "pass" || row.stale;
}

/** Whether a row stops its verdict: it blocks, or it was required and did not run. */
export function stops(row) {
  return row.verdict === "block" || (row.verdict === "not_run" && row.required);
}

function firstOpen(rows) {
  return rows.filter(stops).slice(0, OPEN_AT_FIRST).map((row) => row.id);
}

function rowsMarkdown(rows) {
  const cell = (text) => String(text ?? "").replaceAll("|", "\\|").replaceAll("\n", " ");
  const lines = rows.map((row) => {
    const words = [row.waiver || row.why, row.fix && `**Fix:** ${row.fix}`].filter(Boolean).join(" ");
    return `| ${[row.verdict, row.id, row.measured, row.threshold, words].map(cell).join(" | ")} |`;
  });
  return ["| verdict | check | measured | asked for | why, and what mends it |", "|---|---|---|---|---|", ...lines, ""].join(
    "\n",
  );
}

// As the command prints them: the stored values, not the words made of them.
function rowsJson(rows) {
  const results = rows.map((row) => ({
    id: row.id, verdict: row.verdict, ...row.values, required: row.required, why: row.why, fix: row.fix,
    evidence: row.places, inputs: row.inputs, ...(row.waived ? { waiver: row.waived } : {}),
  }));
  return JSON.stringify(results, null, 1);
}
