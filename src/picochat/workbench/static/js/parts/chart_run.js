// A chart that reads its own series: `<${RunChart} run stage keys title/>`, small on the overview, whole on the curves.
import { html, useMemo, useRef } from "../html.js";
import { useResource } from "../live.js";
import { go } from "../router.js";
import { Chart } from "./chart.js";
import { Partial, ProblemBox, Stale } from "./states.js";

const COMPACT_BUCKETS = 300;
const BUCKETS = 1500;
const HELD = new Set();

/**
 * `keys`: metrics of one unit, in the order of their colours. `view`: `{x, smooth, log, from, to, outliers}`, all
 * optional. `about`: the answer of `…/markers`. `quiet` shows nothing at all where the run has no such point.
 */
export function RunChart({ run, stage, keys, title, name = keys.join("-"), view = {}, about = null, compact = false,
  quiet = false, hidden, onHide, onZoom, references = null, level, unknown }) {
  const { x = "step", smooth = 0, log = "", from = null, to = null, outliers = true } = view;
  const path = `api/runs/${run}/series`;
  const params = { stage, keys: keys.join(), x, smooth: smooth || null, log, from, to, buckets: compact ? COMPACT_BUCKETS : BUCKETS };
  const { data, error, state, since, reload } = useResource(path, { params, run, kinds: ["events"] });
  // While a new window is read the old points stay, moved to it: nothing flashes.
  const kept = useRef(null);
  if (data && data.stage === stage) kept.current = data;
  const shown = kept.current?.stage === stage ? kept.current : null;
  const window = useMemo(() => ({ from, to }), [from, to]);
  const logs = useMemo(() => ({ x: shown?.log.x ?? false, y: shown?.log.y ?? false }), [shown?.log.x, shown?.log.y]);
  if (!shown) return error ? html`<${ProblemBox} error=${error} onRetry=${reload} />` : html`<div class="chart waiting" aria-busy="true"></div>`;
  if (quiet && shown.series.every(({ points }) => points.usable === 0)) return null;
  if (shown.series.length === 0) return html`<figure class="chart" data-chart=${name}><div class="chart-head"><${level ?? "h3"}>${title}<//></div>
    <p class="chart-empty">${unknown ?? "no value is known"}</p></figure>`;
  const unit = shown.series[0].unit;
  const lines = references ?? about?.references ?? [];
  return html`${state === "stale" && html`<${Stale} since=${since} why=${error?.detail} />`}
    ${!compact && html`<${FileState} file=${shown.file} />`}
    <${Chart} title=${title} name=${name} series=${shown.series} axis=${shown.axis} unit=${unit} span=${shown.span}
      window=${shown.axis.name === x ? window : null} seams=${shown.seams} markers=${about?.axis === shown.axis.name ? about.markers : null}
      references=${lines} outliers=${outliers} log=${logs} group=${`${run} ${stage}`} compact=${compact}
      hidden=${hidden ?? HELD} onHide=${onHide} onZoom=${onZoom} onMark=${({ offset }) => go("events", { run, query: { offset } })} level=${level} unknown=${unknown}
      source=${{ path, params, name: `${run}-${stage}-${name}` }} />`;
}

/** What of the events is not in the curve, where something is not. */
export function FileState({ file }) {
  const words = [];
  if (file.state === "unreadable") words.push(`the events cannot be read: ${file.why}`);
  if (file.state === "missing") words.push("there is no file of events yet");
  if (file.unreadable_lines) words.push(`${file.unreadable_lines} lines of the events are none (the first at byte ${file.first_unreadable_offset})`);
  if (file.out_of_order) words.push(`${file.out_of_order} points stood out of order`);
  if (file.forgotten) words.push(`the oldest ${file.forgotten} points are not held in memory`);
  return words.length ? html`<${Partial} what=${words.join("; ")} />` : null;
}
