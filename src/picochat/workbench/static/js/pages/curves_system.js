// What a training takes: memory, processors, GPU, disk, speed and the time of a step. What is unknown is a dash.
import { html } from "../html.js";
import { bytes, count, duration, integer, number, percent } from "../format.js";
import { useResource } from "../live.js";
import { setQuery } from "../router.js";
import { RunChart } from "../parts/chart_run.js";
import { Facts, Section } from "../parts/page.js";
import { Empty, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Controls, viewOf } from "./curves_controls.js";

const CHARTS = [
  { keys: ["step_time_s"], title: "Time of a step" },
  { keys: ["tokens_per_s"], title: "Speed" },
  { keys: ["data_wait_s"], title: "Wait for data" },
  { keys: ["mfu_frac"], title: "MFU" },
  { keys: ["flops_per_s"], title: "Model FLOPs" },
  { keys: ["grad_norm"], title: "Gradient norm" },
  { keys: ["rss_bytes"], title: "Resident memory, peak so far" },
  { keys: ["peak_memory_bytes"], title: "GPU tensors, peak so far" },
];
const GPU_COLUMNS = [
  { key: "name", title: "GPU" },
  { key: "busy_frac", title: "busy", align: "right", render: ({ busy_frac: busy }) => percent(busy) },
  { key: "used_bytes", title: "memory", align: "right", render: (gpu) => `${bytes(gpu.used_bytes)} of ${bytes(gpu.total_bytes)}` },
  { key: "power_w", title: "power, W", align: "right", render: ({ power_w: power }) => number(power) },
  { key: "temperature_c", title: "°C", align: "right", render: ({ temperature_c: heat }) => number(heat) },
];

export function System({ run, query }) {
  const params = { stage: query.stage ?? null };
  const resources = useResource(`api/runs/${run}/resources`, { params, run, kinds: ["events", "status"] });
  return html`<${Resource} of=${resources}>${(data) => html`
    <${Section} id="now" title="Now"><${Now} speed=${data.speed} machine=${data.machine} /><//>
    <${Section} id="health" title="Health">${data.speed.stage
      ? html`<${Health} run=${run} stage=${data.speed.stage} speed=${data.speed} query=${query} />`
      : html`<${Empty} what="No step yet" do="Speeds come with the first step of a training." />`}<//>`}<//>`;
}

function Now({ speed, machine }) {
  const { process, disk } = machine;
  const full = disk?.full_in_s ?? null;
  const filling = disk && (full !== null ? `full in ${duration(full)} at this pace` : disk.filling_bytes_per_s === null ? null : "not filling up");
  return html`<${Facts} items=${[
    ["Speed", `${count(speed.tokens_per_s)} tokens/s`, speed.step === null ? null : `${speed.stage}, step ${integer(speed.step)}`],
    ["Step time, p50", `${number(speed.step_time_p50_s)} s`, `p99 ${number(speed.step_time_p99_s)} s, of ${integer(speed.step_times)}`],
    ["MFU", percent(speed.mfu_frac), speed.flops_per_s === null ? null : `${count(speed.flops_per_s)} FLOP/s of the model`],
    ["Waiting for data", percent(speed.data_wait_frac), "of the time of a step"],
    ["Slowest rank", integer(speed.slowest_rank), "ranks do not write their times"],
    ["Memory", bytes(process?.rss_bytes ?? null), `peak ${bytes(speed.peak_rss_bytes)}, machine ${bytes(machine.memory_bytes)}`],
    ["Processors", process ? `${number(process.cores_used)} of ${integer(machine.cpu_cores)} in use` : "—", `load of the machine ${number(machine.load_1m)}`],
    ["GPU tensors", bytes(speed.peak_gpu_tensor_bytes), "peak"],
    ["Disk, free", bytes(disk?.free_bytes ?? null), filling],
  ]} />
  ${machine.gpus === null
    ? html`<p class="note">GPU: — (none that this machine can be asked about)</p>`
    : html`<${DataTable} caption="GPUs" columns=${GPU_COLUMNS} rows=${machine.gpus} key=${(_, index) => String(index)} empty="no GPU" />`}`;
}

function Health({ run, stage, speed, query }) {
  const view = viewOf(query);
  const about = useResource(`api/runs/${run}/series`, { params: { stage, keys: "tokens_per_s", x: view.x, buckets: 16 }, run, kinds: ["events"] });
  const times = [["p50", speed.step_time_p50_s], ["p99", speed.step_time_p99_s]].filter(([, value]) => value !== null)
    .map(([label, value]) => ({ axis: "y", keys: ["step_time_s"], kind: "best", label, value }));
  const stages = about.data?.stages ?? [];
  return html`${stages.length > 1 && html`<label class="inline">stage <select value=${stage} onChange=${(event) => setQuery({ stage: event.currentTarget.value, from: null, to: null })}>
      ${stages.map((entry) => html`<option key=${entry.stage} value=${entry.stage} selected=${entry.stage === stage}>${entry.stage}</option>`)}</select></label>`}
    <${Controls} query=${query} about=${about.data} />
    <div class="charts">${CHARTS.map(({ keys, title }) => html`<${RunChart} key=${`${stage} ${keys}`} run=${run} stage=${stage} keys=${keys}
      title=${title} view=${view} references=${times.filter((line) => line.keys.includes(keys[0]) && query.refs !== "0")} quiet
      onZoom=${({ from, to }) => setQuery({ from, to })} />`)}</div>`;
}
