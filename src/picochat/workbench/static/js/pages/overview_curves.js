// Three small curves of the training at work, or of the last one.
import { html, useEffect, useState } from "../html.js";
import { href } from "../router.js";
import { Section } from "../parts/page.js";
import { Loading, Partial } from "../parts/states.js";

const CURVES = [
  ["Loss", ["loss"]],
  ["Held-out bits a byte", ["val_bpb"]],
  ["Tokens a second", ["tokens_per_s"]],
];
const TITLES = { base: "Base", sft: "SFT" };
let part = null;

/** The charts are loaded when the first overview is shown: a list of runs needs none of them. */
export function SmallCurves({ run, stage }) {
  const [charts, setCharts] = useState(part);
  useEffect(() => {
    if (charts === null) load().then(setCharts);
  }, []);
  const aside = html`<a href=${href("curves", { run, query: { tab: stage } })}>All curves</a>`;
  return html`<${Section} id="curves" title=${`Curves, ${TITLES[stage] ?? stage}`} aside=${aside}>
    ${charts === null && html`<${Loading} lines=${3} />`}
    ${charts?.problem && html`<${Partial} what="the charts could not be loaded" why=${charts.problem} />`}
    ${charts?.RunChart && html`<div class="small-curves">${CURVES.map(([title, keys]) => html`<${charts.RunChart}
      key=${title} run=${run} stage=${stage} keys=${keys} title=${title} compact />`)}</div>`}
  <//>`;
}

async function load() {
  part ??= await import("../parts/chart_run.js").catch((error) => ({ problem: String(error?.message ?? error) }));
  return part;
}
