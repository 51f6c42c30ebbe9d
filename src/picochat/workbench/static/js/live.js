// Documents of the server that are read again when something of theirs has changed.
import { Problem, address, get, peek } from "./api.js";
import { useEffect, useRef, useState } from "./html.js";
import { onEvent, paused } from "./stream.js";

export { connection, onEvent, paused, togglePause } from "./stream.js";

const AGAIN_MS = 400;
const LOST = [0, 429, 500, 502, 503, 504];

/**
 * A document of the server that is read again when something of `kinds` changes in `run` (null: in any).
 * `state`: "loading", "ready", "stale" (the old data is shown, reading it again failed) or "error".
 * `since` is when the data was read last, in ms of Date.now().
 */
export function useResource(path, { params = null, run = null, kinds = [] } = {}) {
  const url = address(path, params);
  const [, redraw] = useState(0);
  const box = useRef(null);
  if (box.current === null || box.current.path !== path) box.current = fresh(path, url, params, box.current);
  box.current.url = url;
  box.current.params = params;
  const mine = box.current;
  useEffect(() => {
    mine.redraw = () => redraw((n) => n + 1);
    mine.alive = true;
    load(mine);
    return () => {
      mine.alive = false;
      mine.abort?.abort();
    };
  }, [mine, url]);
  const wanted = kinds.join(" ");
  useEffect(() => onEvent((event) => concerns(event, run, wanted) && loadSoon(mine)), [mine, run, wanted]);
  return mine.view;
}

function fresh(path, url, params, before) {
  if (before) before.alive = false;
  const mine = { path, url, params, alive: false, busy: false, again: false, at: -Infinity, abort: null };
  const data = peek(path, params);
  mine.view = { data, error: null, state: data === null ? "loading" : "ready", since: null, reload: () => load(mine) };
  return mine;
}

function concerns(event, run, wanted) {
  if (event.kind === "*") return true;
  if (!wanted.split(" ").includes(event.kind)) return false;
  return run === null || event.run === null || event.run === undefined || event.run === run;
}

// Many changes within a moment are one reading.
function loadSoon(mine) {
  if (mine.busy) {
    mine.again = true;
  } else if (!mine.timer) {
    const wait = Math.max(0, AGAIN_MS - (performance.now() - mine.at));
    mine.timer = setTimeout(() => {
      mine.timer = null;
      if (mine.alive && !paused.value) load(mine);
    }, wait);
  }
}

async function load(mine) {
  mine.abort?.abort();
  const abort = new AbortController();
  Object.assign(mine, { abort, busy: true, again: false });
  const before = mine.view;
  try {
    const data = await get(mine.path, mine.params, { abort: mine.params ? abort.signal : null });
    if (mine.abort !== abort) return;
    update(mine, { data, error: null, state: "ready", since: Date.now() });
  } catch (error) {
    if (mine.abort !== abort || error.name === "AbortError") return;
    const problem = error instanceof Problem ? error : new Problem({ code: "page", detail: String(error) });
    const keep = before.data !== null && (LOST.includes(problem.status));
    update(mine, { data: keep ? before.data : null, error: problem, state: keep ? "stale" : "error" });
  }
  Object.assign(mine, { busy: false, at: performance.now() });
  if (mine.again && mine.alive) loadSoon(mine);
}

function update(mine, patch) {
  const { data, error, state } = mine.view;
  mine.view = { ...mine.view, ...patch };
  const same = data === mine.view.data && state === mine.view.state && error === null && mine.view.error === null;
  if (mine.alive && !same) mine.redraw();
}
