// One check, asked about: what a pass needs, what the gate sets ask, where its numbers stand, what was found.
import { html, useState } from "../html.js";
import { useResource } from "../live.js";
import { Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { JudgeOne } from "./gate_one.js";

const PLACES = [
  { key: "artifact", title: "artifact" },
  { key: "pointer", title: "pointer", render: (place) => place.pointer || "(whole file)" },
  { key: "found", title: "what stands there", render: found },
];
const ASKED = [
  { key: "profile", title: "gate set", render: ({ profile, version }) => `${profile} ${version}` },
  { key: "column", title: "counts as", render: ({ column }) => (column ?? "not judged").replaceAll("_", " ") },
  { key: "threshold", title: "threshold", align: "right" },
  { key: "warn_at", title: "warns at", align: "right" },
  { key: "minimum_n", title: "least n", align: "right", render: ({ minimum_n: n }) => n || null },
];

export function Explain({ run, check }) {
  const [shown, show] = useState(false);
  if (!shown) {
    return html`<p><button type="button" onClick=${() => show(true)}>Where its numbers stand</button></p>`;
  }
  return html`<${Explanation} run=${run} check=${check} />`;
}

function Explanation({ run, check }) {
  const asked = useResource(`api/runs/${run}/explain`, { params: { check }, run, kinds: ["gate"] });
  return html`<${Resource} of=${asked} lines=${3}>${(data) => html`<div class="explain">
    ${data.passes && html`<p>${passes(data.passes)}</p>`}
    <${DataTable} caption=${`Where the numbers of ${check} stand`} columns=${PLACES} rows=${data.evidence}
      rowKey=${(place) => `${place.artifact}#${place.pointer}`} empty="no evidence is named" />
    <${DataTable} caption=${`What the gate sets ask of ${check}`} columns=${ASKED} rows=${data.profiles}
      rowKey="profile" />
    ${data.hits && data.hits.length > 0 && html`<ul class="hits">${data.hits.map((hit, at) => html`<li key=${at}>
      <b>${`${hit.set} ${hit.item}`}</b> found in ${String(hit.against)}: <q>${String(hit.places?.[0]?.text ?? "—")}</q>
    </li>`)}</ul>`}
    <${JudgeOne} run=${run} check=${check} profile=${data.profile} command=${data.command} before=${data.result} />
  </div>`}<//>`;
}

function passes({ k, n, needed, direction }) {
  const most = direction === "<=";
  if (needed === null) return `${k} of ${n} rows; a pass needs more rows than these.`;
  return `${k} of ${n} rows; a pass needs at ${most ? "most" : "least"} ${needed} of ${n}.`;
}

function found(place) {
  if (place.problem) return place.problem;
  if (!place.pointer) return `${place.bytes} bytes, sha256 ${String(place.sha256).slice(0, 12)}`;
  return html`<code>${JSON.stringify(place.found)}</code>`;
}
