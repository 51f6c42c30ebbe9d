// The gate of a run: what blocks it and what mends it first; then preflight, where it could be started, its budget.
import { html } from "../html.js";
import { useResource } from "../live.js";
import { href } from "../router.js";
import { PageHead, Tabs } from "../parts/page.js";
import { Resource } from "../parts/states.js";
import { Verdict } from "../parts/verdict.js";
import { Budget } from "./gate_budget.js";
import { Preflight } from "./gate_preflight.js";
import { Readiness } from "./gate_readiness.js";
import { Release } from "./gate_release.js";

const TABS = [["gate", "Release"], ["preflight", "Preflight"], ["readiness", "Launch readiness"], ["budget", "Token budget"]];
const KINDS = ["gate", "reports", "status", "checkpoints", "processes"];

export default function Page({ run, query }) {
  const tab = TABS.some(([key]) => key === query.tab) ? query.tab : "gate";
  const checks = useResource(`api/runs/${run}/checks`, { params: { set: "gate,preflight" }, run, kinds: KINDS });
  const items = TABS.map(([key, title]) => ({
    key, title, href: href("gate", { run, query: key === "gate" ? {} : { tab: key } }), note: note(checks.data, key),
  }));
  return html`<${PageHead} title="Gate" run=${run} />
    <${Tabs} items=${items} current=${tab} label="Views of the gate" />
    ${tab === "readiness" && html`<${Readiness} run=${run} />`}
    ${tab === "budget" && html`<${Budget} run=${run} />`}
    ${["gate", "preflight"].includes(tab) && html`<${Resource} of=${checks} lines=${8}>${(data) => tab === "gate"
      ? html`<${Release} run=${run} gate=${data.sets.gate} reload=${checks.reload} selected=${query.check} />`
      : html`<${Preflight} run=${run} preflight=${data.sets.preflight} selected=${query.check} />`}<//>`}`;
}

function note(data, key) {
  const set = data?.sets[key];
  if (!set) return null;
  return html`<${Verdict} value=${set.verdict ?? (set.state === "missing" ? "not_run" : "unreadable")} />
    ${set.stale.is && html`${" "}<${Verdict} value="stale" />`}`;
}
