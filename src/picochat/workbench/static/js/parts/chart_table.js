// The points of a chart as a real table, a page at a time: the very numbers of the CSV.
import { html, useState } from "../html.js";
import { integer } from "../format.js";
import { DataTable } from "./table.js";
import { COLUMNS, rowsOf } from "./chart_model.js";

const ROWS_A_PAGE = 50;

/** All series of a chart, one after the other. */
export function ChartTable({ title, series, axis }) {
  const [page, turn] = useState(0);
  const rows = rowsOf(series);
  const pages = Math.max(1, Math.ceil(rows.length / ROWS_A_PAGE));
  const here = Math.min(page, pages - 1);
  const columns = COLUMNS.map((key) => ({
    key,
    title: key === "x" ? axis.label : key,
    align: key === "series" ? null : "right",
    render: (row) => (row[key] === null ? null : String(row[key])),
  }));
  const shown = rows.slice(here * ROWS_A_PAGE, (here + 1) * ROWS_A_PAGE);
  return html`<div class="chart-table">
    <${DataTable} caption=${`${title}: points`} columns=${columns} rows=${shown} key="id" scroll />
    <div class="controls">
      <button type="button" disabled=${here === 0} onClick=${() => turn(here - 1)}>Previous page</button>
      <span role="status">page ${integer(here + 1)} of ${integer(pages)}, ${integer(rows.length)} rows</span>
      <button type="button" disabled=${here === pages - 1} onClick=${() => turn(here + 1)}>Next page</button>
    </div>
  </div>`;
}
