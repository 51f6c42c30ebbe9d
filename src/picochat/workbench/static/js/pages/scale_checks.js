// Rows of preconditions and of a dry run: what fails stands first.
import { html } from "../html.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const ORDER = ["block", "not_run", "warn", "waived", "pass"];
const COLUMNS = [
  { key: "id", title: "Check" },
  { key: "verdict", title: "Verdict", render: ({ verdict }) => html`<${Verdict} value=${verdict} />` },
  { key: "measured", title: "Measured", align: "right" },
  { key: "threshold", title: "Asked for", align: "right" },
  { key: "why", title: "Why", render: ({ why, fix }) => html`${why}${fix && html`<span class="fix"><b>Fix</b> ${fix}</span>`}` },
];

/** `rows` are check results in words, as every table of checks has them. */
export function CheckTable({ caption, rows }) {
  const sorted = rows.toSorted((a, b) => ORDER.indexOf(a.verdict) - ORDER.indexOf(b.verdict));
  return html`<${DataTable} caption=${caption} columns=${COLUMNS} rows=${sorted} key="id" stack="l" />`;
}
