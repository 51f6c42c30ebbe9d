// What a run calls for, without anybody looking for it: in sight, and said once.
import { age } from "../format.js";
import { html, useEffect } from "../html.js";
import { useResource } from "../live.js";
import { announce } from "../store.js";

const TITLES = {
  nan: "not finite", spike: "loss spike", plateau: "plateau", stalled: "stalled", crashed: "crashed",
  rank_lost: "rank lost", disk: "disk", cap: "80 % of the cap", blocked: "blocked",
};
// By run and id: what was said once is not said again, on whatever page.
const said = new Set();

/** `told`: kinds that the page says elsewhere. Nothing is drawn where nothing calls. */
export function Alerts({ run, told = [] }) {
  const alerts = useResource(`api/runs/${encodeURIComponent(run)}/alerts`, { run, kinds: ["status", "events", "gate"] });
  const shown = (alerts.data?.alerts ?? []).filter(({ kind }) => !told.includes(kind));
  useEffect(() => {
    const fresh = shown.filter(({ id }) => !said.has(`${run} ${id}`));
    for (const { id } of fresh) said.add(`${run} ${id}`);
    if (fresh.length) announce(fresh.map(({ kind, text }) => `${TITLES[kind]}: ${text}`).join(". "));
  }, [shown.map(({ id }) => id).join(" ")]);
  if (shown.length === 0) return null;
  return html`<ul class="alerts" aria-label="Alerts">${shown.map((alert) => html`<li key=${alert.id} data-alert=${alert.kind}>
    <span class=${`badge ${alert.tone}`}><span class="sign" aria-hidden="true">${alert.tone === "block" ? "✕" : "!"}</span>${
      TITLES[alert.kind]}</span> ${alert.text}${alert.since && html`<span class="muted">, ${age(alert.since)}</span>`}
  </li>`)}</ul>`;
}
