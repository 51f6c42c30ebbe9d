// The same curve of several runs in one chart.
import { get } from "../api.js";
import { html, useEffect, useMemo, useState } from "../html.js";
import { setQuery } from "../router.js";
import { Chart } from "../parts/chart.js";
import { Section } from "../parts/page.js";
import { Loading, Partial, ProblemBox } from "../parts/states.js";

const BUCKETS = 400;
const STAGES = [["base", "Base"], ["sft", "SFT"]];
const METRICS = [["val_bpb", "Held-out bits a byte"], ["bpb", "Training, bits a byte"], ["loss", "Training loss"], ["tokens_per_s", "Tokens a second"]];
const AXES = [["step", "step"], ["tokens", "tokens seen"], ["active", "active time"]];

export function ComparedCurves({ names, query, same }) {
  const stage = chosen(STAGES, query.stage);
  const metric = chosen(METRICS, query.curve);
  const axis = chosen(AXES, query.x);
  const title = METRICS.find(([key]) => key === metric)[1];
  const set = (key) => (event) => setQuery({ [key]: event.currentTarget.value });
  const choose = (label, key, value, options) => html`<label class="inline">${label} <select value=${value} onChange=${set(key)}>
    ${options.map(([option, words]) => html`<option key=${option} value=${option}>${words}</option>`)}</select></label>`;
  return html`<${Section} id="curves" title="Curves">
    <div class="controls">
      ${choose("Stage", "stage", stage, STAGES)} ${choose("Curve", "curve", metric, METRICS)} ${choose("Over", "x", axis, AXES)}
    </div>
    ${metric === "loss" && same.tokenizer === false && html`<${Partial} what="losses in nats a token of other tokenizers say nothing about each other"
      why="look at bits a byte" />`}
    <${Together} key=${`${stage} ${metric} ${axis}`} names=${names} stage=${stage} metric=${metric} axis=${axis} title=${title} />
  <//>`;
}

function chosen(options, value) {
  return options.some(([key]) => key === value) ? value : options[0][0];
}

function Together({ names, stage, metric, axis, title }) {
  const [{ found, error }, setState] = useState({ found: null, error: null });
  const read = async () => {
    const params = { stage, keys: metric, x: axis, buckets: BUCKETS };
    const answers = await Promise.all(names.map((name) => get(`api/runs/${name}/series`, params)));
    setState({ found: answers, error: null });
  };
  const start = () => read().catch((problem) => setState({ found: null, error: problem }));
  useEffect(() => {
    start();
  }, []);
  const series = useMemo(() => (found ?? []).flatMap((answer, place) => answer.series.map((one) => (
    { ...one, key: names[place], label: names[place] }))), [found]);
  if (error) return html`<${ProblemBox} error=${error} onRetry=${start} />`;
  if (!found) return html`<${Loading} lines=${6} />`;
  const first = found.find((answer) => answer.series.length > 0);
  if (!first) return html`<p class="muted">No run has such a curve.</p>`;
  return html`<${Chart} title=${title} name=${`compared-${metric}`} series=${series} axis=${first.axis} unit=${series[0].unit}
    group="compare" />`;
}
