// The six steps of a launch: where the plan stands, why, and the command that takes the step.
import { html } from "../html.js";
import { Command } from "../parts/command.js";

const STATES = {
  done: ["✓", "done", "pass"],
  next: ["▶", "next", "active"],
  waiting: ["○", "waiting", "neutral"],
  blocked: ["✕", "blocked", "block"],
  failed: ["✕", "failed", "block"],
};

/** `actions`: by the id of a step, what stands below it while it is not done. */
export function Steps({ steps, actions }) {
  return html`<ol class="steps">${steps.map((step, index) => html`<${Step} key=${step.id} step=${step} number=${index + 1}>
    ${actions[step.id] ?? null}
  <//>`)}</ol>`;
}

function Step({ step, number, children }) {
  const [sign, word, tone] = STATES[step.state];
  return html`<li class=${`step ${step.state}`} data-step=${step.id} aria-current=${step.state === "next" ? "step" : null}>
    <div class="step-head">
      <span class="step-number" aria-hidden="true">${number}</span>
      <h3>${step.title}</h3>
      <span class=${`badge ${tone}`}><span class="sign" aria-hidden="true">${sign}</span>${word}</span>
    </div>
    <div class="step-body">
      <p>${step.why}</p>
      ${step.state === "done"
        ? html`<details class="fold"><summary>${children ? "Again, or by command" : "Command"}</summary>
            <div class="step-again">${children}<${Command} text=${step.command} /></div></details>`
        : html`${children}<${Command} text=${step.command} />`}
    </div>
  </li>`;
}
