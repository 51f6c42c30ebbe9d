// Why was this dropped? Every document that was not taken, by reason or by name, with the setting that decided.
import { UNKNOWN, number } from "../format.js";
import { html, useState } from "../html.js";
import { setQuery } from "../router.js";
import { Section } from "../parts/page.js";
import { DataTable } from "../parts/table.js";
import { Pages, usePages } from "./data_paged.js";

const COLUMNS = [
  { key: "name", title: "Document", render: (row) => row.problem
    ? html`<span class="muted">line at byte ${row.offset}: ${row.problem}</span>`
    : html`<span class="path">${row.name ?? UNKNOWN}</span>` },
  { key: "source", title: "Source" },
  { key: "reason", title: "Reason", render: (row) => row.reason && html`${row.reason.replaceAll("_", " ")}
    <span class="fact-note">${why(row)}</span>` },
  { key: "setting", title: "Decided by", render: (row) => row.setting && html`<code>${row.setting}</code> = ${limit(row.limit)}` },
];

function why(row) {
  if (row.says === null) return null;
  const more = Object.entries(row.more).map(([key, value]) => `${key}: ${value}`).join("; ");
  const twin = row.document === null ? "" : `document ${number(row.document)} of the corpus stays`;
  return [row.says, twin, more].filter(Boolean).join("; ");
}

function limit(value) {
  return typeof value === "number" ? number(value) : value === null ? UNKNOWN : String(value);
}

export function Dropped({ run, query, dataset }) {
  const { reason = "", name = "" } = query;
  const pages = usePages(`api/runs/${run}/dropped`, { reason, name });
  const reasons = dataset.dropped.reasons;
  const known = reasons.find((entry) => entry.reason === reason);
  return html`<${Section} id="dropped" title="Why was this dropped?">
    <form class="controls" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Reason ${" "}<select value=${reason} onChange=${(event) => setQuery({ reason: event.currentTarget.value || null })}>
        <option value="">every reason</option>
        ${reason && !known && html`<option value=${reason}>${reason}</option>`}
        ${reasons.map((entry) => html`<option key=${entry.reason} value=${entry.reason}>${
          entry.reason.replaceAll("_", " ")} (${number(entry.documents)})</option>`)}
      </select></label>
      <${NameField} value=${name} />
    </form>
    ${known && html`<p class="lead">${known.says}.${known.setting && html` Decided by <code>${known.setting}</code> = ${limit(known.limit)}.`}</p>`}
    <${Pages} of=${pages} what="documents" file="list of dropped documents">${(rows) => html`<div class="file-table"><${DataTable}
      caption="Dropped documents" columns=${COLUMNS} rows=${rows} key="offset" stack="l"
      empty=${reason || name ? "no dropped document answers to this" : "no document was dropped"} /></div>`}<//>
  <//>`;
}

function NameField({ value }) {
  const [typed, type] = useState(value);
  const submit = (event) => {
    if (event.key === "Enter") setQuery({ name: typed || null });
  };
  return html`<label>Name holds ${" "}<input type="search" value=${typed} maxlength="200" spellcheck="false" autocomplete="off"
      onInput=${(event) => type(event.currentTarget.value)} onKeyDown=${submit} /></label>
    <button type="button" onClick=${() => setQuery({ name: typed || null })}>Search</button>`;
}
