// What changed on disk reaches this tab: by one stream for all tabs of a browser, by polling where no stream gets through.
import { get } from "./api.js";
import { signal } from "./html.js";
import { readStream } from "./sse.js";
import { announce, session } from "./store.js";

const URL_OF_EVENTS = "api/events";
const SILENT_MS = 20000;
const POLL_MS = 2000;
const RETRY_STREAM_MS = 60000;
const HIDDEN_MS = 30000;
const SOON_MS = 1000;
const TELL_TABS_MS = 2000;
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
let heardAny = false;
let hiddenTimer = null;
let told = -Infinity;
let letGo = null;

/** Calls `fn({run, kind, cursor})` at each change; returns how to stop. Kind "*" says that anything may have changed. */
export function onEvent(fn) {
  listeners.add(fn);
  return () => listeners.delete(fn);
}

/** Listens while somebody is logged in; called once. */
export function startLive() {
  document.addEventListener("visibilitychange", onVisibility);
  addEventListener("online", wake);
  addEventListener("pagehide", sleep);
  addEventListener("pageshow", (event) => event.persisted && wake());
  if (tabs) tabs.onmessage = ({ data }) => onWord(data);
  setInterval(watch, SOON_MS);
  session.subscribe(({ state }) => (state === "in" ? wake() : sleep()));
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
  if (state === "offline") {
    announce("The workbench does not answer");
    everything(); // what is shown finds out that it is old
  }
  if (state === "live" && ["polling", "offline"].includes(before)) announce("Live again");
}

function emit(event) {
  for (const fn of listeners) fn(event);
}

// After a gap nobody knows what was missed.
function everything() {
  emit({ run: null, kind: "*", cursor });
}

function active() {
  return !paused.value && session.value.state === "in" && connection.value.state !== "asleep";
}

// -- the stream: held by one tab, passed on to the others, because a browser has six connections for all of them ----

function wake() {
  if (paused.value || session.peek().state !== "in") return;
  heardAt = performance.now();
  show(streaming ? "live" : "connecting");
  everything();
  hold();
  if (!streaming) tabs?.postMessage({ ask: true });
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
  heardAny = false;
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
  // Without a number to go on from a stream begins now: what was read a moment before may be older.
  if (cursor === null && !heardAny) everything();
  heardAny = true;
  failures = 0;
  heard();
  if (performance.now() - told > TELL_TABS_MS) tell();
}

function tell() {
  told = performance.now();
  tabs?.postMessage({ alive: true });
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

// From another tab: the one with the stream passes on what it hears, a new one asks whether there is one.
function onWord(word) {
  if (!active()) return;
  if (word.ask) {
    if (streaming && connection.value.state === "live") tell();
    return;
  }
  if (streaming) return;
  heard();
  if (word.event) {
    cursor = word.event.cursor ?? cursor;
    emit(word.event);
  }
}

function heard() {
  const lost = connection.value.state === "offline";
  heardAt = performance.now();
  stopPolling();
  show("live");
  if (lost) everything();
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
    const found = await get(URL_OF_EVENTS, { since: cursor ?? 0 }, { keep: false });
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
