// Hash everything again: a command that is followed while it works, can be ended, and says what it found.
import { get, post } from "../api.js";
import { age, duration, integer } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { announce, session } from "../store.js";
import { Action, Command } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Partial, ProblemBox } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const ASK_MS = 1000;
const COLUMNS = [
  { key: "verdict", title: "Verdict", render: (check) => html`<${Verdict} value=${check.verdict} />` },
  { key: "file", title: "File", render: (check) => html`<code class="path">${(check.evidence ?? []).map(({ artifact }) => artifact).join(", ")}</code>` },
  { key: "measured", title: "Found", render: (check) => String(check.measured ?? "—") },
  { key: "threshold", title: "Recorded", render: (check) => String(check.threshold ?? "—") },
  { key: "why", title: "Why it matters" },
  { key: "fix", title: "Fix", render: (check) => (check.verdict === "block" && check.fix ? html`<${Command} text=${check.fix} />` : null) },
];

export function Verify({ run, verification, command, look }) {
  const [started, setStarted] = useState(null);
  const running = verification?.process.state === "running" ? verification.process.id
    : started !== null && started !== verification?.process.id ? started : null;
  const start = async () => {
    const { process } = await post(`api/runs/${run}/verify`);
    setStarted(process);
    announce("Verify has started");
    look();
  };
  return html`<${Section} id="verify" title="Verify" aside=${html`<button type="button" class="copy" onClick=${look}>Look again</button>`}>
    <p class="lead">Small files are hashed when this page is read. Verify hashes every file, computes every number again, and
      ${" "}judges the run anew; a gate never trusts what is shown here.</p>
    ${running !== null
      ? html`<${Working} key=${running} id=${running} command=${command} done=${look} />`
      : html`<${Action} title="Verify" command=${command} onRun=${start} />
        ${verification && html`<${Ended} ...${verification} />`}`}
  <//>`;
}

function Working({ id, command, done }) {
  const [view, set] = useState({ text: "", process: null, error: null });
  useEffect(() => {
    let alive = true;
    let timer = null;
    const ask = async () => {
      try {
        const process = await get(`api/processes/${id}`, null, { keep: false });
        const { text } = await get(`api/processes/${id}/output`, null, { keep: false });
        if (!alive) return;
        set({ text: lastLine(text), process, error: null });
        if (process.state !== "running") {
          announce("Verify has ended");
          done();
          return;
        }
      } catch (error) {
        if (alive) set((before) => ({ ...before, error }));
      }
      if (alive) timer = setTimeout(ask, ASK_MS);
    };
    ask();
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [id]);
  const cancel = () => post(`api/processes/${id}/cancel`).catch((error) => set((before) => ({ ...before, error })));
  return html`<div class="verifying">
    <span class="badge active"><span class="sign" aria-hidden="true">▶</span>verifying</span>
    <span>${view.text || "hashing files"}</span>
    ${view.process && html`<span class="muted">began ${age(view.process.started_at)}</span>`}
    ${!session.value.readOnly && html`<button type="button" onClick=${cancel}>Cancel</button>`}
    <${Command} text=${command} />
  </div>
  ${view.error && html`<${ProblemBox} error=${view.error} />`}`;
}

// Only what was said on the way; the document at its end is read by the server.
function lastLine(text) {
  const said = text.split(/\n(?=\{)/)[0].trimEnd();
  const line = said.slice(said.lastIndexOf("\n") + 1);
  return line.startsWith("{") ? "" : line;
}

function Ended({ process, verdict, checks, files, problem, covers_files: covers }) {
  const when = process.ended_at ? `${age(process.ended_at)}, ${duration(process.duration_s)}` : null;
  if (verdict === null) {
    return html`<div class="below"><${ProblemBox} error=${{ detail: `the last verify came to no verdict${when ? ` (${when})` : ""}`,
      why: process.state === "lost" ? "nobody knows how it ended" : process.signal ? "it was cancelled" : problem }} /></div>`;
  }
  const broken = checks.filter((check) => check.verdict === "block");
  return html`<div class="below">
    <p role="status"><${Verdict} value=${broken.length ? "block" : "pass"} note=${when} />${" "}${broken.length
      ? html`${integer(broken.length)} findings` : files === null ? "nothing is broken" : html`${integer(files)} files and links hold`}</p>
    ${!covers && html`<${Partial} what="the server has started since" why="which bytes it saw is not known any more: verify again" />`}
    ${checks.length > 0 && html`<div class="below"><${DataTable} caption="What verify found" columns=${COLUMNS} rows=${checks} stack="l"
      key=${(check, index) => `${check.id} ${index}`} /></div>`}
  </div>`;
}
