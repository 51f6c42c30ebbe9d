// What changed on disk reaches the page: one stream for all tabs of this browser, polling where a stream does not get
// through, and resources that are read again when something of theirs has changed.
import { Problem, get, peek, address } from "./api.js";
import { signal, useEffect, useRef, useState } from "./html.js";
import { readStream } from "./sse.js";
import { announce, session } from "./store.js";

const URL_OF_EVENTS = "api/events";
const SILENT_MS = 20000;
const POLL_MS = 2000;
const RETRY_STREAM_MS = 60000;
const HIDDEN_MS = 30000;
const SOON_MS = 1000;
const TELL_TABS_MS = 2000;
const AGAIN_MS = 400;
const SHARED = `picochat.live:${location.pathname}`;

/** "connecting", "live", "polling", "offline", "paused" or "asleep" (the tab is hidden), and since when. */
export const connection = signal({ state: "connecting", since: Date.now() });

/** Whether the person stopped live updates. */
export const paused = signal(false);

const listeners = new Set();
const tabs = typeof BroadcastChannel === "function" ? new BroadcastChannel(SHARED) : null;
let cursor = null;
let heardAt = performance.now();
let streaming = null;
let pollTimer = null;
let streamTriedAt = -Infinity;
let failures = 0;
let hiddenTimer = null;
let told = -Infinity;
let started = false;
let letGo = null;

/** Calls `fn({run, kind, cursor})` at each change; returns how to stop. Kind "*" says that anything may have changed. */
export function onEvent(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

/** Begins to listen; called once, when somebody is logged in. */
export function startLive() {
  if (started) return;
  started = true;
  document.addEventListener("visibilitychange", onVisibility);
  addEventListener("online", wake);
  addEventListener("pagehide", sleep);
  addEventListener("pageshow", (event) => event.persisted && wake());
  if (tabs) tabs.onmessage = ({ data }) => onWord(data);
  setInterval(watch, SOON_MS);
  wake();
}

/** Stops or goes on with live updates. */
export function togglePause() {
  paused.value = !paused.value;
  announce(paused.value ? "Live updates paused" : "Live updates on");
  if (paused.value) {
    sleep();
    show("paused");
  } else {
    wake();
  }
}

function show(state) {
  if (connection.value.state === state) return;
  const before = connection.value.state;
  connection.value = { state, since: Date.now() };
  if (state === "polling" && before !== "offline") announce("Live stream lost, polling every two seconds");
  if (state === "offline") announce("The workbench does not answer");
  if (state === "live" && ["polling", "offline"].includes(before)) announce("Live again");
}

function emit(event) {
  for (const fn of listeners) fn(event);
}

function everything() {
  emit({ run: null, kind: "*", cursor });
}

function active() {
  return started && !paused.value && session.value.state === "in" && connection.value.state !== "asleep";
}

// -- the stream: held by one tab, passed on to the others, because a browser has six connections for all of them ----

function wake() {
  if (paused.value) return;
  heardAt = performance.now();
  show(streaming ? "live" : "connecting");
  everything();
  hold();
}

function sleep() {
  letGo?.();
  letGo = null;
  streaming?.abort();
  stopPolling();
}

function hold() {
  if (letGo) return;
  if (!navigator.locks) {
    // Without a secure context there are no locks: a stream of its own for this tab.
    letGo = () => undefined;
    stream();
    return;
  }
  const waiting = new AbortController();
  letGo = () => waiting.abort();
  const turn = () => new Promise((done) => {
    letGo = done;
    stream();
  });
  navigator.locks.request(SHARED, { signal: waiting.signal }, turn).catch(() => undefined);
}

async function stream() {
  if (!active() || streaming) return;
  const mine = new AbortController();
  streaming = mine;
  streamTriedAt = performance.now();
  try {
    await readStream(URL_OF_EVENTS, { lastId: cursor, abort: mine.signal, onByte: onBytes, onFrame });
    failures += 1;
  } catch (err) {
    failures = mine.signal.aborted ? 0 : failures + 1;
    if (err.status === 401) get("api/session").catch(() => undefined);
  }
  streaming = null;
  if (!active() || !letGo || mine.signal.aborted) return;
  // A stream may end for a good reason (the server was started again): once at once, then by polling.
  if (failures > 1) startPolling();
  else setTimeout(stream, SOON_MS);
}

function onBytes() {
  const gap = connection.value.state === "polling" || connection.value.state === "offline" || failures > 0;
  failures = 0;
  heard();
  if (gap) everything();
  if (tabs && performance.now() - told > TELL_TABS_MS) {
    told = performance.now();
    tabs.postMessage({ alive: true });
  }
}

function onFrame({ id, data }) {
  let event = null;
  try {
    event = JSON.parse(data);
  } catch {
    return;
  }
  cursor = event.cursor ?? id ?? cursor;
  emit(event);
  tabs?.postMessage({ event });
}

function onWord(word) {
  if (!active() || streaming) return;
  heard();
  if (word.event) {
    cursor = word.event.cursor ?? cursor;
    emit(word.event);
  }
}

function heard() {
  heardAt = performance.now();
  stopPolling();
  show("live");
}

// -- polling ---------------------------------------------------------------------------------------------------------

function watch() {
  if (!active()) return;
  const now = performance.now();
  if (now - heardAt > SILENT_MS && pollTimer === null) {
    streaming?.abort();
    startPolling();
  }
  if (pollTimer !== null && letGo && !streaming && now - streamTriedAt > RETRY_STREAM_MS) stream();
}

function startPolling() {
  if (pollTimer !== null || !active()) return;
  if (connection.value.state !== "offline") show("polling");
  pollTimer = setTimeout(poll, 0);
}

function stopPolling() {
  clearTimeout(pollTimer);
  pollTimer = null;
}

async function poll() {
  const mine = pollTimer;
  try {
    const found = await get(URL_OF_EVENTS, { since: cursor ?? 0 });
    if (pollTimer !== mine || !active()) return;
    const back = connection.value.state === "offline";
    cursor = found.cursor;
    if (!found.complete || back) everything();
    else for (const event of found.events) emit(event);
    show("polling");
    if (back && letGo) {
      failures = 0;
      stream();
    }
  } catch (problem) {
    if (pollTimer !== mine) return;
    if (problem.status === 0) show("offline");
  }
  if (pollTimer === mine && active()) pollTimer = setTimeout(poll, POLL_MS);
}

function onVisibility() {
  clearTimeout(hiddenTimer);
  if (document.hidden) {
    hiddenTimer = setTimeout(() => {
      if (paused.value) return;
      sleep();
      show("asleep");
    }, HIDDEN_MS);
  } else if (connection.value.state === "asleep") {
    connection.value = { state: "connecting", since: Date.now() };
    wake();
  }
}

// -- resources -------------------------------------------------------------------------------------------------------

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
      if (mine.alive) load(mine);
    }, wait);
  }
}

async function load(mine) {
  mine.abort?.abort();
  const abort = new AbortController();
  Object.assign(mine, { abort, busy: true, again: false });
  const before = mine.view;
  try {
    const data = await get(mine.path, mine.params, { abort: abort.signal });
    if (mine.abort !== abort) return;
    update(mine, { data, error: null, state: "ready", since: Date.now() });
  } catch (error) {
    if (mine.abort !== abort || error.name === "AbortError") return;
    const problem = error instanceof Problem ? error : new Problem({ code: "page", detail: String(error) });
    const keep = before.data !== null && (problem.status === 0 || problem.status >= 500 || problem.status === 429);
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
