// Requests to the server of this page. All addresses are relative, so that any prefix works.
import { session } from "./store.js";

const PATIENCE_MS = 60000;
const KEPT = 64;

/** A refusal. `status` 0: no answer came. The words are the server's: what, why, and what mends it. */
export class Problem extends Error {
  constructor({ status = 0, code = "", detail = "", why = "", fix = "", request_id: requestId = "" }) {
    super(detail || code);
    Object.assign(this, { name: "Problem", status, code, detail, why, fix, requestId });
  }
}

// What was read, by address: {etag, document}. An unchanged answer comes as 304 and is the same object again.
const known = new Map();
// What is being read at this moment: two parts of a page that want the same share one request.
const flying = new Map();

/** The address of a request with its parameters; null and "" are left out. */
export function address(path, params = {}) {
  const kept = Object.entries(params ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(kept.map(([key, value]) => [key, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/** What an address answered last, or null. */
export function peek(path, params) {
  return known.get(address(path, params))?.document ?? null;
}

/** The document of a GET. Throws Problem. `keep: false` does not remember it for the next time. */
export function get(path, params, { abort = null, keep = true } = {}) {
  const url = address(path, params);
  if (abort || flying.has(url)) return flying.get(url) ?? fetchDocument(url, abort, keep);
  const asked = fetchDocument(url, null, keep).finally(() => flying.delete(url));
  flying.set(url, asked);
  return asked;
}

async function fetchDocument(url, abort, keep) {
  const before = known.get(url);
  const headers = { Accept: "application/json" };
  if (before) headers["If-None-Match"] = before.etag;
  const response = await send(url, { headers, signal: withPatience(abort) });
  if (response.status === 304 && before) return before.document;
  const document = await read(response);
  const etag = response.headers.get("etag");
  known.delete(url);
  if (etag && keep) known.set(url, { etag, document });
  if (known.size > KEPT) known.delete(known.keys().next().value);
  return document;
}

/** The document of a POST. Throws Problem. */
export async function post(path, body = {}) {
  return read(await postRaw(path, body, { abort: AbortSignal.timeout(PATIENCE_MS) }));
}

/** The response of a POST whose body is a stream. Throws Problem when it is a refusal. */
export async function postRaw(path, body = {}, { abort } = {}) {
  const headers = { "Content-Type": "application/json", "X-Picochat-CSRF": session.value.csrf };
  const response = await send(path, { method: "POST", headers, body: JSON.stringify(body), signal: abort });
  return response.ok ? response : read(response);
}

/** Forgets everything that was read: after a log-in nothing old is shown. */
export function forget() {
  known.clear();
}

async function send(url, options) {
  try {
    return await fetch(url, { credentials: "same-origin", cache: "no-store", redirect: "error", ...options });
  } catch (err) {
    if (err.name === "AbortError") throw err;
    if (err.name === "TimeoutError") {
      throw new Problem({
        code: "timeout", detail: "the workbench took longer than a minute to answer",
        why: "the machine is busy, or the files of this run are on a slow disk", fix: "try again",
      });
    }
    throw new Problem({
      code: "offline", detail: "the workbench does not answer",
      why: "it was stopped, or the connection to its machine is gone",
      fix: "start it again with picochat web; this page goes on by itself",
    });
  }
}

async function read(response) {
  const text = await response.text();
  let document = null;
  try {
    document = JSON.parse(text);
  } catch {
    // judged below: a proxy may answer with a page of its own
  }
  if (response.ok && document !== null) return document;
  const problem = new Problem({
    code: "answer",
    detail: `an answer that is no document of the workbench (status ${response.status})`,
    why: "a proxy between this page and the workbench may have answered in its place",
    ...(typeof document === "object" ? document : null),
    status: response.status,
  });
  if (response.status === 401) leave(problem);
  throw problem;
}

function leave(problem) {
  if (session.value.state === "out") return;
  known.clear();
  session.value = { ...session.value, state: "out", csrf: "", why: problem.detail };
}

function withPatience(abort) {
  const timeout = AbortSignal.timeout(PATIENCE_MS);
  return abort ? AbortSignal.any([abort, timeout]) : timeout;
}
