// Judging again: the command, its process, and what the verdict was before.
import { post } from "../api.js";
import { age } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { useResource } from "../live.js";
import { Action } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const PROFILES = ["research", "first_release", "skill_release"];
const CHANGES = [
  { key: "id", title: "check" },
  { key: "before", title: "before", render: ({ before }) => side(before) },
  { key: "after", title: "after", render: ({ after }) => side(after) },
];

export function JudgeAgain({ run, gate, reload }) {
  const [profile, setProfile] = useState(gate.profile ?? "research");
  const [process, setProcess] = useState(null);
  const command = gate.command.replace(/ --profile \S+$/, "") + ` --profile ${profile}`;
  const judge = async () => setProcess((await post(`api/runs/${run}/gate`, { profile })).process);
  return html`<${Section} id="again" title="Judge again">
    <p class="muted">From the artifacts alone: no training, no GPU. The old verdict is kept under a number.</p>
    <label class="field narrow">Gate set <select value=${profile} onChange=${(event) => setProfile(event.currentTarget.value)}>
      ${PROFILES.map((name) => html`<option key=${name} value=${name} selected=${name === profile}>${name}</option>`)}
    </select></label>
    <${Action} title="Judge again" command=${command} onRun=${judge} />
    ${process && html`<${Following} id=${process} onEnd=${reload} key=${process} />`}
    <${Before} previous=${gate.previous} gate=${gate} />
  <//>`;
}

function Following({ id, onEnd }) {
  const { data } = useResource(`api/processes/${id}`, { kinds: ["processes", "gate"] });
  const ended = data !== null && data.state !== "running";
  useEffect(() => {
    if (ended) onEnd();
  }, [ended]);
  if (!ended) return html`<p role="status">Judging …</p>`;
  const words = { 0: "Judged: nothing blocks.", 3: "Judged: blocked." };
  return html`<p role="status">${words[data.exit_code] ?? `The command ended with exit code ${data.exit_code ?? "—"}: ${
    data.command}`}</p>`;
}

function Before({ previous, gate }) {
  if (!previous) return null;
  const { verdict, profile, judged_at: when, changes, file } = previous;
  return html`<h3>Before and after</h3>
    <p><${Verdict} value=${verdict ?? "unreadable"} note=${profile} /> ${when && age(when)} (<code>${file}</code>)
      → <${Verdict} value=${gate.verdict} note=${gate.profile} /></p>
    <${DataTable} caption="Checks that say something else than before" columns=${CHANGES} rows=${changes} rowKey="id"
      empty="no check changed" />`;
}

function side(found) {
  return found ? html`<${Verdict} value=${found.verdict} /> ${found.measured}` : "not judged";
}
