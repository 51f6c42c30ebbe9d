// The hash is the whole view: `#/runs/demo-1/curves?x=tokens`. A copied address shows the same.
import { signal } from "./html.js";

const RUN_PAGES = ["curves", "gate", "data", "evals", "artifacts", "events"];
const PAGES = ["runs", "compare", "play", "scale", "system"];

/** `{page, run, query}`: `page` is a key of the table in app.js or "missing"; `query` a plain object of strings. */
export const route = signal(parse(location.hash));

/** Counts up when another page or run is shown, so that the new page may take the focus. */
export const visits = signal(0);

/** The address of a page, relative to this one. */
export function href(page, { run = null, query = {} } = {}) {
  let path = page === "overview" || RUN_PAGES.includes(page) ? `runs/${encodeURIComponent(run)}` : page;
  if (RUN_PAGES.includes(page)) path += `/${page}`;
  const text = write(query);
  return `#/${path}${text ? `?${text}` : ""}`;
}

/** Shows a page; the browser's back button returns. */
export function go(page, where) {
  location.hash = href(page, where);
  follow(); // the event of the browser comes later; a key that is pressed at once belongs to the new page
}

/** Merges into the query of this view; null takes a key out. `replace: false` makes a step that "back" undoes. */
export function setQuery(patch, { replace = true } = {}) {
  const { page, run, query } = route.value;
  const merged = { ...query, ...patch };
  const address = href(page, { run, query: merged });
  if (address === location.hash) return;
  if (replace) {
    history.replaceState(history.state, "", address);
    follow();
  } else {
    location.hash = address;
  }
}

function write(query) {
  const kept = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return kept.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`).join("&");
}

function parse(hash) {
  const [path, text = ""] = splitOnce(hash.replace(/^#\/?/, ""), "?");
  const query = Object.fromEntries(new URLSearchParams(text));
  const parts = path.split("/").filter(Boolean).map(decode);
  if (parts.length === 0) return { page: "runs", run: null, query };
  if (parts.length === 1 && PAGES.includes(parts[0])) return { page: parts[0], run: null, query };
  if (parts[0] === "runs" && parts.length === 2) return { page: "overview", run: parts[1], query };
  if (parts[0] === "runs" && parts.length === 3 && RUN_PAGES.includes(parts[2])) {
    return { page: parts[2], run: parts[1], query };
  }
  return { page: "missing", run: null, query };
}

function splitOnce(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Reads the address again. A hash that is no route (a mark inside of a page) changes nothing. */
export function follow() {
  if (location.hash !== "" && !location.hash.startsWith("#/")) return;
  const next = parse(location.hash);
  const before = route.value;
  if (next.page !== before.page || next.run !== before.run) visits.value += 1;
  route.value = next;
}

addEventListener("hashchange", follow);
