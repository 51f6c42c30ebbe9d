// Rows that are read a page at a time, by a cursor that the server gives.
import { get } from "../api.js";
import { integer } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { Empty, Loading, ProblemBox } from "../parts/states.js";

const NOTHING = { rows: [], next: 0, busy: true, error: null, whole: true, state: null, why: "", extra: null };

/** All pages that were asked for so far. `more()` reads the next one; other parameters begin anew. */
export function usePages(path, params) {
  const [view, set] = useState(NOTHING);
  const asked = useRef(null);
  const name = `${path} ${JSON.stringify(params)}`;
  const read = async (before) => {
    asked.current?.abort();
    const abort = new AbortController();
    asked.current = abort;
    set({ ...before, busy: true, error: null });
    try {
      const { rows, next, whole, state, why, ...extra } = await get(path, { ...params, cursor: before.next }, { abort: abort.signal, keep: false });
      if (asked.current !== abort) return;
      set({ rows: [...before.rows, ...rows], next, whole, state, why, extra, busy: false, error: null });
    } catch (error) {
      if (asked.current === abort && error.name !== "AbortError") set({ ...before, busy: false, error });
    }
  };
  useEffect(() => {
    read(NOTHING);
    return () => asked.current?.abort();
  }, [name]);
  return { ...view, more: () => read(view) };
}

/** The state of such pages around `children(rows)`: what is missing is said, and the next page has a button. */
export function Pages({ of: pages, what, file, children }) {
  const { rows, next, busy, error, whole, state, why, more } = pages;
  const draw = Array.isArray(children) ? children.find((child) => typeof child === "function") : children;
  if (state === null && busy) return html`<${Loading} />`;
  if (state === null || (error && rows.length === 0)) return html`<${ProblemBox} error=${error} onRetry=${more} />`;
  if (state === "missing") return html`<${Empty} what=${`There is no ${file}`} do="The stage that writes it has not come so far in this run." />`;
  if (state === "unreadable") return html`<${ProblemBox} error=${{ detail: `${file} cannot be read`, why }} />`;
  return html`${draw(rows)}
    ${error && html`<${ProblemBox} error=${error} onRetry=${more} />`}
    <p class="paged" role="status">
      <span class="muted">${integer(rows.length)} ${what} shown${next === null ? ", these are all" : ""}${
        !whole && next !== null ? "; the search stopped before the end of the file" : ""}</span>
      ${next !== null && html`<button type="button" disabled=${busy} onClick=${more}>${
        busy ? "Reading …" : whole ? "Show more" : "Search on"}</button>`}
    </p>`;
}
