// The machine and this page: what doctor found, versions, disk, and what can be set here.
import { UNKNOWN, age, bytes, integer } from "../format.js";
import { html } from "../html.js";
import { ShortcutSwitch } from "../help.js";
import { connection, useResource } from "../live.js";
import { session, theme } from "../store.js";
import { Action, Command } from "../parts/command.js";
import { Facts, PageHead, Section } from "../parts/page.js";
import { Empty, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const PACKAGES = ["torch", "numpy", "pydantic", "click", "rich", "safetensors", "tokenizers", "tiktoken"];
const MISSING = [
  { key: "verdict", title: "", render: () => html`<${Verdict} value="warn" />` },
  { key: "missing", title: "What is missing" },
  { key: "fix", title: "Fix", render: ({ fix }) => html`<${Command} text=${fix} />` },
];
const DEVICES = [
  { key: "name", title: "GPU" },
  { key: "memory_bytes", title: "Memory", align: "right", render: (gpu) => bytes(gpu.memory_bytes) },
  { key: "capability", title: "Capability", align: "right" },
  { key: "bf16", title: "bf16", render: (gpu) => said(gpu.bf16) },
];
const VERSIONS = [{ key: "name", title: "Package" }, { key: "version", title: "Version", align: "right" }];
const SETTINGS = [{ key: "name", title: "Setting" }, { key: "value", title: "Value" }];
const THEMES = [["system", "As the system"], ["light", "Light"], ["dark", "Dark"]];
const CONNECTIONS = {
  connecting: "the stream is being opened",
  live: "changes arrive as they are written",
  polling: "no stream gets through, so this page asks every two seconds",
  offline: "no answer; this page tries again by itself",
  paused: "paused here, by the button in the bar or the key .",
  asleep: "this tab was hidden",
};

export default function Page() {
  const doctor = useResource("api/doctor");
  return html`<${PageHead} title="System">What this machine has, and how this page behaves.<//>
    <${Resource} of=${doctor} lines=${8}>${(data) => html`<${Machine} ...${data} reload=${doctor.reload}
      since=${doctor.since} />`}<//>
    <${Settings} />`;
}

function Machine({ facts, advice, reload, since }) {
  const gpus = (facts.cuda_devices ?? []).map((gpu, index) => ({ key: index, ...gpu }));
  const nccl = Object.entries(facts.nccl ?? {}).map(([name, value]) => ({ name, value: String(value) }));
  return html`
    <${Section} id="missing" title="Doctor" aside=${since && html`looked ${age((Date.now() - since) / 1000)}`}>
      ${advice.length
        ? html`<${DataTable} caption="What is missing" columns=${MISSING} rows=${advice} key="missing" />`
        : html`<p><${Verdict} value="pass" /> Nothing is missing.</p>`}
      <div class="below"><${Action} title="Look again" command="picochat doctor" onRun=${reload} /></div>
    <//>
    <div class="columns">
      <${Section} id="devices" title="Devices">
        <${Facts} items=${machineFacts(facts)} />
        <div class="below">${gpus.length
          ? html`<${DataTable} caption="GPUs" columns=${DEVICES} rows=${gpus} />`
          : html`<${Empty} what="No GPU is seen here" do="Runs train on the processor. A plan says what a GPU would need."
              command="picochat plan h100-100m" />`}</div>
      <//>
      <${Section} id="versions" title="Versions">
        <${DataTable} caption="Versions" columns=${VERSIONS} rows=${versions(facts)} stack="none" />
      <//>
    </div>
    ${nccl.length > 0 && html`<details class="fold"><summary>Settings of NCCL that a group of GPUs would use</summary>
      <${DataTable} caption="Settings of NCCL" columns=${SETTINGS} rows=${nccl} /></details>`}`;
}

function machineFacts(facts) {
  return [
    ["Free disk", bytes(facts.free_disk_bytes)],
    ["Memory", bytes(facts.memory_bytes)],
    ["Threads", integer(facts.threads)],
    ["CPU features", facts.cpu_features],
    ["Precision", facts.cpu_precision],
    ["Compiler", facts.cxx_compiler ?? UNKNOWN],
    ["Platform", facts.platform],
  ];
}

function versions(facts) {
  const rows = ["picochat", "python", ...PACKAGES].map((name) => ({ name, version: facts[name] ?? null }));
  return rows.filter(({ name, version }) => version !== null || name in facts);
}

function said(value) {
  return value === true ? "yes" : value === false ? "no" : UNKNOWN;
}

function Settings() {
  const { state } = connection.value;
  return html`<${Section} id="settings" title="This page">
    <div class="columns">
      <div>
        <fieldset class="choices"><legend>Theme</legend>
          ${THEMES.map(([value, title]) => html`<label class="switch" key=${value}><input type="radio" name="theme"
            checked=${theme.value === value} onChange=${() => (theme.value = value)} /> ${title}</label>`)}
        </fieldset>
        <${ShortcutSwitch} />
        <p class="small muted">Kept in this browser, and nothing else is.</p>
      </div>
      <${Facts} wide items=${[
        ["Updates", state, CONNECTIONS[state]],
        ["Changes from here", session.value.readOnly ? "refused: read-only" : "allowed",
          session.value.readOnly ? "web.read_only is set; commands do the same" : "each shows the command that does the same"],
        ["Workbench", session.value.version || UNKNOWN],
      ]} />
    </div>
  <//>`;
}
