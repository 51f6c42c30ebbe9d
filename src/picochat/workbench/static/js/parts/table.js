// A real table: sorted by its head, walked by j and k, a list of label and value where it is narrow.
import { html, useEffect, useState } from "../html.js";
import { route, setQuery } from "../router.js";

/**
 * `columns`: `{key, title, align?, render?(row), sort?, hint?}`. `sort` true sorts by `row[key]`, a function by what it
 * gives; what is unknown stands last either way. `key` names the field of a row, or is a function, that tells rows
 * apart. `rowHref(row)` makes the first cell a link. `selected` (a Set of keys) and `onSelect(key, on)` add boxes.
 * `param` keeps the order in the address under that name. `stack`: below which width ("s", "m", "l") it is a list;
 * `scroll` lets it move sideways instead. `firstRows`: so many are drawn at once, the others right after the paint.
 */
export function DataTable({
  caption, columns, rows, rowKey = null, rowHref = null, empty = "nothing here", selected = null, onSelect = null,
  param = null, stack = "m", scroll = false, showCaption = false, rowClass = null, order: first = "",
  firstRows = Infinity,
}) {
  const whole = useWhole(rows.length <= firstRows);
  const [local, setLocal] = useState(first);
  const order = (param ? route.value.query[param] : local) ?? first;
  const setOrder = (value) => (param ? setQuery({ [param]: value }) : setLocal(value));
  const keyOf = keyFunction(rowKey);
  const boxes = selected !== null && onSelect !== null;
  const wrap = `table-wrap stack-${stack}${scroll ? " scroll" : ""}`;
  return html`<div class=${wrap} ...${scroll ? { tabindex: 0, role: "region", "aria-label": caption } : {}}>
    <table role="table" data-walk>
      <caption class=${showCaption ? null : "unseen"}>${caption}</caption>
      <thead role="rowgroup"><tr role="row">
        ${boxes && html`<th role="columnheader" scope="col" class="box"><span class="unseen">Select</span></th>`}
        ${columns.map((column) => html`<${Head} key=${column.key} column=${column} order=${order} set=${setOrder} />`)}
      </tr></thead>
      <tbody role="rowgroup">
        ${rows.length === 0 && html`<tr role="row"><td role="cell" class="none"
          colspan=${columns.length + (boxes ? 1 : 0)}>${empty}</td></tr>`}
        ${ordered(rows, columns, order).slice(0, whole ? Infinity : firstRows).map((row, index) => {
          const key = keyOf(row, index);
          const on = boxes && selected.has(key);
          return html`<tr role="row" key=${key} data-row=${key} tabindex="-1"
            class=${[on && "selected", rowClass?.(row)].filter(Boolean).join(" ") || null}>
            ${boxes && html`<td role="cell" class="box"><input type="checkbox" checked=${on} aria-label=${`Select ${key}`}
              onChange=${(event) => onSelect(key, event.currentTarget.checked)} /></td>`}
            ${columns.map((column, at) => cell(column, row, at === 0 && rowHref ? rowHref(row) : null, at === 0))}
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}
DataTable.takesKey = true;

// A long table: what the screen shows is painted before the rest is made.
function useWhole(short) {
  const [whole, setWhole] = useState(short);
  useEffect(() => {
    if (whole) return undefined;
    const frame = requestAnimationFrame(() => setTimeout(() => setWhole(true)));
    return () => cancelAnimationFrame(frame);
  }, [whole]);
  return whole;
}

function Head({ column, order, set }) {
  const down = order === `-${column.key}`;
  const up = order === column.key;
  const sorted = down ? "descending" : up ? "ascending" : null;
  const align = column.align === "right" ? "right" : null;
  if (!column.sort) return html`<th role="columnheader" scope="col" class=${align}>${column.title}</th>`;
  // Once: the larger first; again: the smaller first; again: as it came.
  const next = down ? column.key : up ? null : `-${column.key}`;
  return html`<th role="columnheader" scope="col" class=${align} aria-sort=${sorted}>
    <button type="button" class="sort" onClick=${() => set(next)}>${column.title}<span class="sign" aria-hidden="true">${
      down ? "▾" : up ? "▴" : ""}</span></button>
  </th>`;
}

function cell(column, row, link, first) {
  const value = column.render ? column.render(row) : row[column.key];
  const shown = value === null || value === undefined || value === "" ? "—" : value;
  const inside = link ? html`<a href=${link} data-open>${shown}</a>` : shown;
  const props = { key: column.key, class: column.align === "right" ? "right" : null, "data-label": column.title };
  return first
    ? html`<th role="rowheader" scope="row" ...${props}>${inside}</th>`
    : html`<td role="cell" ...${props}>${inside}</td>`;
}

function keyFunction(key) {
  if (typeof key === "function") return key;
  return (row, index) => String((key ? row[key] : row.key ?? row.id ?? row.name) ?? index);
}

function ordered(rows, columns, order) {
  const sign = order?.startsWith("-") ? -1 : 1;
  const column = columns.find(({ key, sort }) => sort && key === order?.replace(/^-/, ""));
  if (!column) return rows;
  const value = typeof column.sort === "function" ? column.sort : (row) => row[column.key];
  return rows
    .map((row, index) => [value(row), index, row])
    .sort(([a, i], [b, j]) => compare(a, b, sign) || i - j)
    .map(([, , row]) => row);
}

function compare(a, b, sign) {
  const lost = (value) => value === null || value === undefined || value === "" || Number.isNaN(value);
  if (lost(a) || lost(b)) return lost(a) - lost(b);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}
