// The confirmation of a paid start. Money is spent only after the cap was typed, to the letter.
import { post } from "../api.js";
import { age, duration } from "../format.js";
import { html, useEffect, useRef, useState } from "../html.js";
import { connection } from "../live.js";
import { announce } from "../store.js";
import { Dialog } from "../parts/dialog.js";
import { ProblemBox } from "../parts/states.js";

const TICK_MS = 1000;
const AGAIN_MS = 2000;
const LABEL_CHARS = 10;
const KEY_BYTES = 16;
const GONE = ["offline", "paused", "asleep"];

/** `stale`: why what is shown may not be true any more, or "". */
export function Confirmation({ view, stale, open, onClose, onStarted }) {
  return html`<${Dialog} open=${open} title="Start a paid machine" onClose=${onClose} wide>
    <${Form} view=${view} stale=${stale} onClose=${onClose} onStarted=${onStarted} />
  <//>`;
}

function Form({ view, stale, onClose, onStarted }) {
  const cap = view.plan.money.cap_usd;
  const where = view.plan.target.host;
  const [typed, setTyped] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const { challenge, left_s: left, renew } = useChallenge(view.digest, setError);
  const field = useRef(null);
  useEffect(() => field.current?.focus(), []);
  const why = whyNot(view, stale, challenge, left);
  const ready = typed === cap && !busy && why === "";
  const submit = async (event) => {
    event.preventDefault();
    if (!ready) return;
    setBusy(true);
    setError(null);
    try {
      await start(view.digest, challenge, typed);
      announce(`Started on ${where}`);
      onStarted();
    } catch (problem) {
      setError(problem);
      setTyped("");
      if (problem.status !== 0) renew();
      field.current?.focus();
    }
    setBusy(false);
  };
  return html`<form class="confirm" onSubmit=${submit}>
    <dl class="pairs">${[...view.lines.map(split), ["Dry run", dryRun(view)]].map(([label, text]) => html`
      <div key=${label} class=${label === "CAP" ? "cap" : null}><dt>${label}</dt><dd>${text}</dd></div>`)}</dl>
    <label class="field cap-field" for="typed-cap">Type the cap to launch
      <span class="dollars"><span aria-hidden="true">$</span><input id="typed-cap" ref=${field} value=${typed}
        inputmode="decimal" autocomplete="off" spellcheck="false" autofocus maxlength="16" disabled=${busy}
        aria-describedby="typed-cap-why" onInput=${(event) => setTyped(event.currentTarget.value)} /></span></label>
    <p id="typed-cap-why" class="small" role="status">${why
      ? html`<span class="badge block"><span class="sign" aria-hidden="true">✕</span>not now</span> ${why}`
      : html`<span class="muted">exactly as it stands above, with both cents; holds for ${duration(left)}</span>`}</p>
    ${error && html`<${ProblemBox} error=${error} />`}
    <div class="buttons">
      ${left !== null && left <= 0 && html`<button type="button" onClick=${renew}>Confirm anew</button>`}
      <button type="button" onClick=${onClose}>Cancel</button>
      <button type="submit" class="danger" disabled=${!ready}>${busy ? "Starting …" : `Launch ${where} for up to $${cap}`}</button>
    </div>
  </form>`;
}

function dryRun(view) {
  return view.dry_run ? `${view.dry_run_line}, judged ${age(view.dry_run.t)}` : view.dry_run_line;
}

function split(line) {
  return [line.slice(0, LABEL_CHARS).trim(), line.slice(LABEL_CHARS)];
}

function whyNot(view, stale, challenge, left) {
  if (left !== null && left <= 0) return "this confirmation has expired";
  if (stale) return stale;
  if (GONE.includes(connection.value.state)) return "this page is not connected: what it shows may be old";
  if (view.start) return "this plan was started before: a plan is started at most once";
  if (!view.checks) return "the preconditions were not judged yet";
  if (view.checks.stale) return "the preconditions were judged more than a quarter of an hour ago: judge them again";
  if (view.checks.verdict === "blocked") return "a precondition does not hold: it stands in the table of the plan";
  return challenge === null ? "asking the server for a confirmation" : "";
}

// One challenge for as long as the dialog is open: bound to plan and login, five minutes, used up by one answer.
function useChallenge(digest, setError) {
  const [found, setFound] = useState(null);
  const [now, setNow] = useState(performance.now());
  const renew = async () => {
    setFound(null);
    try {
      const issued = await post(`api/plans/${digest}/challenge`);
      setFound({ value: issued.challenge, until: performance.now() + issued.expires_in_s * 1000, key: randomKey() });
    } catch (problem) {
      setError(problem);
    }
  };
  useEffect(() => {
    renew();
    const timer = setInterval(() => setNow(performance.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [digest]);
  return { challenge: found, left_s: found && Math.max(0, Math.floor((found.until - now) / 1000)), renew };
}

// The same key asks for the first result: sending it again can never start twice.
async function start(digest, challenge, cap) {
  const body = { digest, challenge: challenge.value, cap, idempotency_key: challenge.key };
  for (;;) {
    const answer = await post(`api/plans/${digest}/launch`, body);
    if (answer.settled) return answer;
    await new Promise((done) => setTimeout(done, AGAIN_MS));
  }
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(KEY_BYTES)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
