// The keyboard: single keys that can be switched off, rows walked by j and k, and what a page adds while it is shown.
import { useLayoutEffect } from "./html.js";
import { go, route } from "./router.js";
import { announce, lastRun, pageKeys, shortcuts } from "./store.js";
import { togglePause } from "./stream.js";

const SEQUENCE_MS = 1500;
const PLACES = { r: "runs", c: "curves", g: "gate", e: "evals", p: "play", o: "overview", s: "scale" };
const OF_A_RUN = ["curves", "gate", "evals", "overview"];

/** The keys of the shell, for the help dialog. */
export const KEYS = [
  ["g r", "go to the runs"],
  ["g o", "overview of the run"],
  ["g c", "curves of the run"],
  ["g g", "gate of the run"],
  ["g e", "evaluation of the run"],
  ["g p", "playground"],
  ["g s", "scale up"],
  ["/", "to the search field of the page"],
  ["j, k", "next and previous row of a table"],
  ["Enter", "open the row"],
  ["x", "select the row"],
  ["c", "compare the selected runs"],
  [".", "pause and go on with live updates"],
  ["?", "this help"],
  ["Esc", "close a dialog, leave a field"],
];

const extra = new Map();
let prefixUntil = 0;
let showHelp = () => undefined;

/** While the page is shown `key` calls `act(event)`; `what` stands in the help. */
export function useShortcut(key, act, what) {
  useLayoutEffect(() => {
    const entry = { act, what };
    extra.set(key, entry);
    list();
    return () => {
      if (extra.get(key) === entry) extra.delete(key);
      list();
    };
  });
}

function list() {
  const keys = [...extra].filter(([key]) => !KEYS.some(([known]) => known === key)).map(([key, { what }]) => [key, what]);
  const same = keys.length === pageKeys.peek().length && keys.every(([key, what], i) => {
    const [oldKey, oldWhat] = pageKeys.peek()[i];
    return key === oldKey && what === oldWhat;
  });
  if (!same) pageKeys.value = keys;
}

/** Begins to listen; `help()` opens the help dialog. */
export function startKeys(help) {
  showHelp = help;
  addEventListener("keydown", onKey);
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target.closest?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
  if (event.key === "Escape") {
    if (typing && !document.querySelector("dialog[open]")) typing.blur();
    return;
  }
  if (typing || shortcuts.value === "off" || document.querySelector("dialog[open]")) return;
  if (run(event)) event.preventDefault();
}

function run(event) {
  const { key } = event;
  if (performance.now() < prefixUntil) {
    prefixUntil = 0;
    return leap(key);
  }
  const added = extra.get(key);
  if (added) {
    added.act(event);
    return true;
  }
  if (key === "g") {
    prefixUntil = performance.now() + SEQUENCE_MS;
    return true;
  }
  if (key === "Enter") return open();
  const act = { "/": search, j: () => walk(1), k: () => walk(-1), x: select, ".": pause, "?": help }[key];
  return act ? act() : false;
}

function leap(key) {
  const page = PLACES[key];
  if (!page) return false;
  const run = route.value.run ?? lastRun.value;
  if (OF_A_RUN.includes(page) && run === null) announce("Open a run first");
  else go(page, OF_A_RUN.includes(page) ? { run } : {});
  return true;
}

function search() {
  const field = document.querySelector("main [type=search]");
  field?.focus();
  field?.select?.();
  return field !== null;
}

// Rows are found on the page at the moment of the key: a table that was drawn anew has no memory to go wrong.
function walk(step) {
  const here = document.activeElement.closest("tr[data-row]");
  const table = here?.closest("table") ?? document.querySelector("main table[data-walk] tr[data-row]")?.closest("table");
  if (!table) return false;
  const rows = [...table.querySelectorAll("tr[data-row]")];
  const at = here ? rows.indexOf(here) + step : step > 0 ? 0 : rows.length - 1;
  const row = rows[Math.max(0, Math.min(rows.length - 1, at))];
  row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  return true;
}

function open() {
  const row = document.activeElement;
  if (!row.matches("tr[data-row]")) return false;
  const link = row.querySelector("[data-open]");
  link?.click();
  return Boolean(link);
}

function select() {
  const box = document.activeElement.closest("tr[data-row]")?.querySelector("input[type=checkbox]");
  box?.click();
  return Boolean(box);
}

function pause() {
  togglePause();
  return true;
}

function help() {
  showHelp();
  return true;
}
