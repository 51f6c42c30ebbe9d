// The machine and this page: what doctor found, versions, disk, and what can be set here.
import { get } from "../api.js";
import { UNKNOWN, age, bytes, integer } from "../format.js";
import { html } from "../html.js";
import { ShortcutSwitch } from "../help.js";
import { connection, useResource } from "../live.js";
import { session, theme } from "../store.js";
import { Action, Command } from "../parts/command.js";
import { Facts, PageHead, Section } from "../parts/page.js";
import { Empty, Partial, Resource } from "../parts/states.js";
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
  const again = async () => {
    await get("api/doctor", { again: true }, { keep: false });
    await doctor.reload();
  };
  return html`<${PageHead} title="System">What this machine has, and how this page behaves.<//>
    <${Resource} of=${doctor} lines=${8}>${(data) => html`<${Doctor} said=${data} again=${again} />
      <${Machine} said=${data} />`}<//>
    <${Settings} config=${doctor.data?.settings} />`;
}

function Doctor({ said: { state, why, advice, age_s: seconds }, again }) {
  return html`<${Section} id="missing" title="Doctor" aside=${`looked ${age(seconds)}`}>
    ${state !== "ready" ? html`<${Partial} what="the command gave no answer" why=${why} />`
      : advice.length ? html`<${DataTable} caption="What is missing" columns=${MISSING} rows=${advice} key="missing" />`
      : html`<p><${Verdict} value="pass" /> Nothing is missing.</p>`}
    <div class="below"><${Action} title="Look again" command="picochat doctor" plain onRun=${again} /></div>
  <//>`;
}

function Machine({ said: { facts, runs, runs_free_bytes: free } }) {
  const known = facts ?? {};
  const gpus = (known.cuda_devices ?? []).map((gpu, index) => ({ key: index, ...gpu }));
  const nccl = Object.entries(known.nccl ?? {}).map(([name, value]) => ({ name, value: String(value) }));
  return html`<div class="columns">
      <${Section} id="devices" title="Machine">
        <${Facts} items=${machineFacts(known)} />
        <div class="below">${gpus.length > 0 && html`<${DataTable} caption="GPUs" columns=${DEVICES} rows=${gpus} />`}
          ${gpus.length === 0 && facts && html`<${Empty} what="No GPU is seen here"
            do="Runs train on the processor. A plan says what a GPU would need." command="picochat plan h100-100m" />`}
        </div>
      <//>
      <div>
        <${Section} id="disk" title="Runs">
          <${Facts} wide items=${[["Free on this disk", bytes(free)], ["Folder", html`<code>${runs}</code>`]]} />
        <//>
        ${facts && html`<${Section} id="versions" title="Versions">
          <${DataTable} caption="Versions" columns=${VERSIONS} rows=${versions(known)} stack="none" />
        <//>`}
      </div>
    </div>
    ${nccl.length > 0 && html`<details class="fold"><summary>Settings of NCCL that a group of GPUs would use</summary>
      <${DataTable} caption="Settings of NCCL" columns=${SETTINGS} rows=${nccl} /></details>`}`;
}

function machineFacts(facts) {
  return [
    ["Memory", bytes(facts.memory_bytes)],
    ["Threads", integer(facts.threads)],
    ["Precision", facts.cpu_precision],
    ["CPU features", facts.cpu_features],
    ["Compiler", facts.cxx_compiler],
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

function Settings({ config }) {
  const { state } = connection.value;
  const rows = Object.entries(config ?? {}).map(([name, value]) => ({ name: `web.${name}`, value: shown(value) }));
  return html`<${Section} id="settings" title="This page">
    <div class="columns">
      <div>
        <fieldset class="choices"><legend>Theme</legend>
          ${THEMES.map(([value, title]) => html`<label class="switch" key=${value}><input type="radio" name="theme"
            checked=${theme.value === value} onChange=${() => (theme.value = value)} /> ${title}</label>`)}
        </fieldset>
        <${ShortcutSwitch} />
        <p class="small muted">Kept in this browser, and nothing else is.</p>
        <div class="below"><${Facts} wide items=${[
          ["Updates", state, CONNECTIONS[state]],
          ["Changes from here", session.value.readOnly ? "refused: read-only" : "allowed",
            "each action shows the command that does the same"],
        ]} /></div>
      </div>
      ${rows.length > 0 && html`<${DataTable} caption="How this server was set" showCaption columns=${SETTINGS} rows=${rows}
        stack="none" />`}
    </div>
  <//>`;
}

function shown(value) {
  if (Array.isArray(value)) return value.length ? value.join(", ") : "none";
  return typeof value === "boolean" ? said(value) : value || "none";
}
