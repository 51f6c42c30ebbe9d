// A launch plan from typed fields, with the command that makes the same plan beside it.
import { post } from "../api.js";
import { html, useState } from "../html.js";
import { setQuery } from "../router.js";
import { session } from "../store.js";
import { Command } from "../parts/command.js";
import { ProblemBox } from "../parts/states.js";

const TARGETS = [
  ["ssh", "ssh: started from here"], ["torchrun", "torchrun: a script for every node"], ["slurm", "Slurm"],
  ["skypilot", "SkyPilot"], ["hf_jobs", "Hugging Face Jobs"],
];
const PLACES = {
  ssh: ["host", "port"], torchrun: [], slurm: ["queue"], skypilot: ["image"], hf_jobs: ["flavor", "image"],
};
const FIELDS = {
  host: ["Host", "me@gpu-1", "as ssh takes it"],
  port: ["Port", "22", "empty: ssh decides"],
  queue: ["Partition", "gpu", "of Slurm"],
  flavor: ["Flavor", "h100x8", "the kind of machine"],
  image: ["Image", "name@sha256:…", "pinned by digest"],
};
const COUNTS = ["gpus", "nodes", "port", "autostop"];
const FIRST = {
  gpus: "8", nodes: "1", rate: "", cap: "", target: "ssh", host: "", port: "", queue: "", flavor: "", image: "",
  folder: "picochat", python: "python3", env: "", autostop: "15",
};

export function PlanForm({ run, card, cards, onCard, ceiling }) {
  const [values, setValues] = useState(FIRST);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const set = (key) => ({ currentTarget }) => setValues({ ...values, [key]: currentTarget.value });
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const made = await post("api/plans", order(run, card, values));
      setQuery({ plan: made.digest }, { replace: false });
    } catch (problem) {
      setError(problem);
      setBusy(false);
    }
  };
  return html`<form class="plan-form" onSubmit=${submit}>
    <div class="plan-fields">
      <${Field} name="gpus" label="GPUs, over all nodes" value=${values.gpus} onInput=${set("gpus")} mode="numeric" />
      <label class="field">Card<select value=${card} onChange=${({ currentTarget }) => onCard(currentTarget.value)}>
        ${cards.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>
      <${Field} name="nodes" label="Nodes" value=${values.nodes} onInput=${set("nodes")} mode="numeric" />
      <${Field} name="rate" label="Rate: $ a GPU-hour" value=${values.rate} onInput=${set("rate")} hint="3.00" mode="decimal" />
      <${Field} name="cap" label="Cap: $ in all" value=${values.cap} onInput=${set("cap")} hint="430.00" mode="decimal"
        note=${ceiling === null ? "no ceiling is set: nothing can be started" : `the ceiling is $${ceiling}`} />
      <label class="field">Target<select value=${values.target} onChange=${set("target")}>
        ${TARGETS.map(([name, title]) => html`<option key=${name} value=${name}>${title}</option>`)}</select></label>
      ${PLACES[values.target].map((key) => html`<${Field} key=${key} name=${key} label=${FIELDS[key][0]} value=${values[key]}
        onInput=${set(key)} hint=${FIELDS[key][1]} note=${FIELDS[key][2]} />`)}
    </div>
    <details class="fold"><summary>Folder, interpreter, variables, autostop</summary><div class="plan-fields">
      <${Field} name="folder" label="Folder there" value=${values.folder} onInput=${set("folder")} />
      <${Field} name="python" label="Interpreter there" value=${values.python} onInput=${set("python")} />
      <${Field} name="env" label="Variables that must be set there" value=${values.env} onInput=${set("env")}
        hint="HF_TOKEN" note="names, never values" />
      <${Field} name="autostop" label="Autostop, minutes" value=${values.autostop} onInput=${set("autostop")} mode="numeric" />
    </div></details>
    ${error && html`<${ProblemBox} error=${error} />`}
    <div class="action-line">
      ${!session.value.readOnly && html`<button type="submit" class="primary" disabled=${busy || !run}>${
        busy ? "Making the plan …" : "Make the plan"}</button>`}
      <${Command} text=${twin(run ?? "RUN", card, values)} />
    </div>
    <p class="small muted">Writes one document beside the runs; spends nothing.</p>
  </form>`;
}

function Field({ name, label, value, onInput, hint = "", note = null, mode = "text" }) {
  return html`<label class="field">${label}<input name=${name} value=${value} onInput=${onInput} placeholder=${hint}
    inputmode=${mode} autocomplete="off" spellcheck="false" />${note && html`<span class="small muted">${note}</span>`}</label>`;
}

function variables(text) {
  return text.split(/[\s,]+/).filter(Boolean);
}

// Whole numbers as numbers, everything else as the text it is: the server judges all of it.
function order(run, card, values) {
  const body = { run, card, rate: values.rate, cap: values.cap, target: values.target, folder: values.folder,
    python: values.python, environment: variables(values.env) };
  for (const key of PLACES[values.target]) if (values[key] !== "") body[key] = values[key];
  for (const key of COUNTS) {
    const text = key === "port" ? body.port : values[key];
    if (text === undefined) continue;
    body[key === "autostop" ? "autostop_minutes" : key] = /^\d{1,9}$/.test(text) ? Number(text) : text;
  }
  return body;
}

function twin(run, card, values) {
  const words = ["picochat", "launch", "plan", run, "--gpus", `${values.gpus}x${card}`];
  if (values.nodes !== "1") words.push("--nodes", values.nodes);
  words.push("--rate", values.rate || "RATE", "--cap", values.cap || "CAP", "--target", values.target);
  for (const key of ["host", "port"]) if (PLACES[values.target].includes(key) && values[key]) words.push(`--${key}`, values[key]);
  if (values.folder !== FIRST.folder) words.push("--folder", values.folder);
  if (values.python !== FIRST.python) words.push("--python", values.python);
  for (const key of ["queue", "flavor", "image"]) {
    if (PLACES[values.target].includes(key) && values[key]) words.push(`--${key}`, values[key]);
  }
  for (const name of [...new Set(variables(values.env))].sort()) words.push("--env", name);
  if (values.autostop !== FIRST.autostop) words.push("--autostop", values.autostop);
  return words.map(shellWord).join(" ");
}

function shellWord(word) {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}
