// The curves of a run: base, SFT and system. Axis, smoothing, zoom and what is hidden all stand in the address.
import { html, useMemo } from "../html.js";
import { useResource } from "../live.js";
import { href, setQuery } from "../router.js";
import { PageHead, Section, Tabs } from "../parts/page.js";
import { FileState, RunChart } from "../parts/chart_run.js";
import { Empty } from "../parts/states.js";
import { Controls, viewOf } from "./curves_controls.js";
import { EventList, marksOf } from "./curves_events.js";
import { System } from "./curves_system.js";

const TABS = [["base", "Base"], ["sft", "SFT"], ["system", "System"]];
const CHARTS = {
  base: [
    { keys: ["loss", "val_loss"], title: "Loss" },
    { keys: ["bpb", "val_bpb"], title: "Bits a byte", unknown: "not known before tokenizer_report.json says how many bytes a token is" },
    { keys: ["grad_norm"], title: "Gradient norm" },
    { keys: ["lr"], title: "Learning rate", plain: true },
    { keys: ["tokens_per_s"], title: "Speed" },
  ],
  sft: [
    { keys: ["loss"], title: "Train loss on chat targets" },
    { keys: ["val_loss"], title: "Held-out loss on documents", plain: true },
    { keys: ["val_bpb"], title: "Held-out bits a byte on documents", plain: true },
    { keys: ["supervised_frac"], title: "Targets among tokens" },
    { keys: ["grad_norm"], title: "Gradient norm" },
    { keys: ["lr"], title: "Learning rate", plain: true },
    { keys: ["tokens_per_s"], title: "Speed" },
  ],
};

export default function Page({ run, query }) {
  const tab = TABS.some(([key]) => key === query.tab) ? query.tab : "base";
  const items = TABS.map(([key, title]) => ({ key, title, href: href("curves", { run, query: { ...query, tab: key, from: null, to: null, stage: null } }) }));
  return html`<${PageHead} title="Curves" run=${run} />
    <${Tabs} items=${items} current=${tab} label="Kinds of curves" />
    ${tab === "system" ? html`<${System} run=${run} query=${query} />` : html`<${Stage} key=${tab} run=${run} stage=${tab} query=${query} />`}`;
}

function Stage({ run, stage, query }) {
  const view = viewOf(query);
  const params = { stage, keys: CHARTS[stage].flatMap(({ keys }) => keys).slice(0, 2).join(), x: view.x, buckets: 16 };
  // A small answer tells which axes there are and how far they go; the charts read their own.
  const about = useResource(`api/runs/${run}/series`, { params, run, kinds: ["events"] });
  const marks = useResource(`api/runs/${run}/markers`, { params: { stage, x: view.x }, run, kinds: ["events", "reports", "gate"] });
  const hidden = useMemo(() => new Set((query.hide ?? "").split(",").filter(Boolean)), [query.hide]);
  const onHide = (keys) => setQuery({ hide: [...keys].sort().join() || null });
  const shown = useMemo(() => marksOf(marks.data, query), [marks.data, query.refs, query.events]);
  const none = about.data && about.data.stage === stage && !about.data.stages.some((entry) => entry.stage === stage);
  if (none) {
    return html`<${FileState} file=${about.data.file} /><${Empty} what=${`No point of ${stage} yet`}
      do="Points come with the first step of the training; this page shows them as they are written." command=${about.data.command} />`;
  }
  return html`<${Controls} query=${query} about=${about.data} />
    <div class="charts">${CHARTS[stage].map(({ keys, title, plain, unknown }) => html`<${RunChart} key=${keys.join()} run=${run} stage=${stage}
      keys=${keys} title=${title} view=${plain ? { ...view, smooth: 0 } : view} about=${shown} hidden=${hidden} onHide=${onHide} level="h2"
      onZoom=${zoom} unknown=${unknown} quiet=${keys.length === 1} />`)}
    </div>
    ${stage === "sft" && html`<p class="note">Fit, held-out fit and eval are three numbers, each from its own rows: ${" "}<a href=${href("evals", { run, query: { tab: "fit" } })}>on the page of evaluations</a>.</p>`}
    <${Section} id="events" title="On the axis"><${EventList} run=${run} marks=${marks.data} /><//>`;
}

function zoom({ from, to }) {
  setQuery({ from: Number(from.toPrecision(9)), to: Number(to.toPrecision(9)) });
}
