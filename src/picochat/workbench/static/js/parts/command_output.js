// What a command that the workbench started says, as it says it, and how it ended.
import { get, post } from "../api.js";
import { age, clock, duration } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { useResource } from "../live.js";
import { announce, session } from "../store.js";
import { Command, CopyButton } from "./command.js";
import { ProblemBox, Resource } from "./states.js";

const AGAIN_MS = 700;
const KEPT_CHARS = 2 * 1024 * 1024;
const NEAR_PX = 24;
const WORDS = { running: "running", finished: "ended", lost: "ended without a word", unreadable: "its record is broken" };
const SIGNALS = { 2: "SIGINT", 9: "SIGKILL", 15: "SIGTERM" };
/** Exit codes that every command shares. */
const CODES = {
  0: "done", 2: "refused: usage or configuration", 3: "blocked", 4: "an artifact is unusable", 5: "this machine could not",
  6: "stopped by the training guard", 75: "stopped on request, resumable", 127: "not started", 130: "interrupted",
};

/** How a command ended, in words: `exit 75, stopped on request, resumable`. */
export function ending({ state, exit_code: code, signal }) {
  if (state === "running") return "running";
  if (signal !== null && signal !== undefined) return `ended by ${SIGNALS[signal] ?? `signal ${signal}`}`;
  if (code === null || code === undefined) return WORDS[state] ?? state;
  return CODES[code] ? `exit ${code}, ${CODES[code]}` : `exit ${code}`;
}

/** Follows the command of that id. `onEnd(process)` is called once when it has ended while it was followed. */
export function CommandOutput({ id, onEnd = null }) {
  const process = useResource(`api/processes/${id}`, { kinds: ["processes"] });
  const [output, setOutput] = useState({ text: "", cut: false, state: null });
  const ended = useRef(false);
  useEffect(() => followOutput(id, setOutput, () => process.reload()), [id]);
  useEffect(() => {
    if (process.data === null || process.data.state === "running" || ended.current) return;
    ended.current = true;
    if (output.state === "running" || output.state === null) announce(`${process.data.title}: ${ending(process.data)}`);
    onEnd?.(process.data);
  }, [process.data?.state]);
  return html`<${Resource} of=${process}>${(found) => html`<div class="process" data-state=${found.state}>
    <div class="process-head">
      <b>${found.title || "Command"}</b> <${Ended} of=${found} />
      <span class="muted small">${found.started_at && html`started ${clock(found.started_at)} UTC, ${
        age(found.started_at)}`}${found.duration_s !== null && html`, took ${duration(found.duration_s)}`}</span>
      <span class="process-buttons">
        ${found.state === "running" && html`<${Cancel} id=${id} />`}
        <${CopyButton} text=${() => output.text} label="Copy output" what="Output copied" />
      </span>
    </div>
    <${Command} text=${found.command} />
    <${Text} output=${output} running=${found.state === "running"} />
  </div>`}<//>`;
}

function Ended({ of: process }) {
  const good = process.exit_code === 0;
  const tone = process.state === "running" ? "active" : good ? "pass" : process.exit_code === 75 ? "neutral" : "block";
  const sign = process.state === "running" ? "▶" : good ? "✓" : process.exit_code === 75 ? "□" : "✕";
  return html`<span class=${`badge ${tone}`}><span class="sign" aria-hidden="true">${sign}</span>${ending(process)}</span>`;
}

function Cancel({ id }) {
  const [asked, setAsked] = useState(false);
  const [error, setError] = useState(null);
  if (session.value.readOnly) return null;
  const onClick = async () => {
    setAsked(true);
    try {
      await post(`api/processes/${id}/cancel`);
      announce("Asked to end");
    } catch (problem) {
      setError(problem);
    }
  };
  return html`<button type="button" disabled=${asked} onClick=${onClick}>${asked ? "Asked to end" : "Cancel"}</button>
    ${error && html`<${ProblemBox} error=${error} />`}`;
}

function Text({ output, running }) {
  const box = useRef(null);
  const near = useRef(true);
  useEffect(() => {
    if (near.current) box.current.scrollTop = box.current.scrollHeight;
  }, [output.text]);
  const onScroll = ({ currentTarget: pre }) => {
    near.current = pre.scrollHeight - pre.scrollTop - pre.clientHeight < NEAR_PX;
  };
  const empty = running ? "nothing said yet" : "it said nothing";
  return html`${output.cut && html`<p class="small muted">The beginning is left out.</p>`}
    <pre class="output" ref=${box} onScroll=${onScroll} tabindex="0" role="region" aria-label="Output">${
      output.text || html`<span class="muted">${empty}</span>`}</pre>
    ${output.error && html`<${ProblemBox} error=${output.error} />`}`;
}

// Reads piece by piece until the command has ended and all it said was read; returns how to stop.
function followOutput(id, setOutput, onEnded) {
  let [offset, text, cut, stopped, timer] = [0, "", false, false, null];
  const step = async () => {
    let wait = AGAIN_MS;
    try {
      const piece = await get(`api/processes/${id}/output`, { offset });
      if (stopped) return;
      const moved = piece.next_offset > offset;
      offset = piece.next_offset;
      text += piece.text;
      if (text.length > KEPT_CHARS) [text, cut] = [text.slice(-KEPT_CHARS), true];
      setOutput({ text, cut, state: piece.state });
      if (moved) wait = 0;
      else if (piece.state !== "running") return onEnded();
    } catch (error) {
      if (stopped) return undefined;
      if (error.status === 404) return setOutput({ text, cut, error, state: "lost" });
      wait = 3 * AGAIN_MS;
    }
    timer = setTimeout(step, wait);
    return undefined;
  };
  step();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
