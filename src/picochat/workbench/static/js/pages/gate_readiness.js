// Where the run could be started: this processor, one GPU, eight. One word a target, and what it lacks.
import { html } from "../html.js";
import { useResource } from "../live.js";
import { Checks, stops } from "../parts/checks.js";
import { Section } from "../parts/page.js";
import { Empty, Resource } from "../parts/states.js";

export function Readiness({ run }) {
  const found = useResource(`api/runs/${run}/readiness`, { run, kinds: ["reports", "gate", "status", "plans"] });
  return html`<${Resource} of=${found} lines=${6}>${(data) => data.state === "ready"
    ? html`${data.trained && html`<p class="muted">This run is trained. What is said here is about starting one like it.</p>`}
      ${data.targets.map((target) => html`<${Target} key=${target.name} target=${target} />`)}`
    : html`<${Empty} what="Nothing can be said about this run" do=${data.why} />`}<//>`;
}

function Target({ target }) {
  const ready = target.ready === "ready";
  const missing = target.rows.filter((row) => stops(row) && row.required);
  return html`<${Section} id=${target.name} title=${target.title}>
    <p class="verdict-word"><span class=${`badge ${ready ? "pass" : "block"}`}><span class="sign" aria-hidden="true">${
      ready ? "✓" : "✕"}</span>${ready ? "ready" : "not ready"}</span>
      <b>${ready ? "Nothing is missing." : `${missing.length} missing: ${missing.map((row) => row.id).join(", ")}`}</b>
      ${target.plan && html` <span class="muted">launch plan <code>${target.plan.slice(0, 12)}</code></span>`}</p>
    <${Checks} rows=${target.rows.filter((row) => row.verdict !== "pass")} empty="everything that was asked passes"
      caption=${`What does not pass on ${target.title}`} openFirst />
    <details><summary>${target.rows.filter((row) => row.verdict === "pass").length} checks pass</summary>
      <${Checks} rows=${target.rows.filter((row) => row.verdict === "pass")} caption=${`What passes on ${target.title}`} />
    </details>
  <//>`;
}
