// Up to eight runs side by side, or one beside its profile, its parent or another run.
import { digest, integer } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { href, setQuery } from "../router.js";
import { Command } from "../parts/command.js";
import { PageHead, Section } from "../parts/page.js";
import { Empty, Partial, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { RunState, Verdict } from "../parts/verdict.js";
import { Differences, OneConfig } from "./compare_config.js";
import { ComparedCurves } from "./compare_curves.js";
import { Flipped, Measures } from "./compare_measures.js";

const MOST = 8;

export default function Page({ query }) {
  const names = [...new Set((query.runs ?? "").split(",").filter(Boolean))].slice(0, MOST);
  const list = useResource("api/runs", { kinds: ["runs"] });
  return html`<${PageHead} title="Compare">${names.length > 1
      ? `${integer(names.length)} runs; differences are to the first`
      : "Settings, losses, rates, and the rows that flipped"}<//>
    <${Picker} names=${names} all=${list.data?.runs ?? []} />
    ${names.length === 0 && html`<${Empty} what="No run is chosen" do="Choose runs here, or select them in the list of runs."
      command="picochat compare RUN RUN" />`}
    ${names.length === 1 && html`<${OneConfig} key=${names[0]} run=${names[0]} query=${query} all=${list.data?.runs ?? []}
      folder=${list.data?.folder} />`}
    ${names.length > 1 && html`<${Several} key=${names.join()} names=${names} query=${query} />`}`;
}

function Picker({ names, all }) {
  const set = (next) => setQuery({ runs: next.join() }, { replace: false });
  const left = all.map(({ name }) => name).filter((name) => !names.includes(name));
  return html`<div class="controls">
    <ul class="chosen" aria-label="Chosen runs">${names.map((name, place) => html`<li key=${name}>
      <b>${letter(place)}</b> <a href=${href("overview", { run: name })}>${name}</a>
      <button type="button" class="quiet" onClick=${() => set(names.filter((other) => other !== name))}><span
        aria-hidden="true">✕</span><span class="unseen">Take ${name} out</span></button>
    </li>`)}</ul>
    ${names.length < MOST && left.length > 0 && html`<label class="inline">Add a run <select value=""
      onChange=${(event) => event.currentTarget.value && set([...names, event.currentTarget.value])}>
      <option value="">choose</option>${left.map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
    </select></label>`}
  </div>`;
}

export const letter = (place) => String.fromCharCode(65 + place);

function Several({ names, query }) {
  const found = useResource("api/compare", { params: { runs: names.join() }, kinds: ["runs", "gate", "reports"] });
  return html`<${Resource} of=${found} lines=${10}>${(data) => html`
    <${Command} text=${["picochat compare", ...data.runs.map(({ path }) => path)].join(" ")} />
    <div class="below">${data.warnings.map(({ about, text }) => html`<${Partial} key=${about} what=${text} />`)}</div>
    <${Section} id="runs" title="Runs"><${DataTable} caption="Runs that are compared" columns=${RUNS} rows=${data.runs}
      rowKey="label" stack="m" /><//>
    <${Measures} measures=${data.measures} labels=${data.runs.map(({ label }) => label)} />
    <${Differences} found=${data.config} command=${twin(data.runs)} />
    <${ComparedCurves} names=${names} query=${query} same=${data.same} />
    <${Flipped} pairs=${data.pairs} runs=${data.runs} query=${query} />`}<//>`;
}

const twin = (runs) => ["picochat compare", ...runs.map(({ path }) => path), "--toml"].join(" ");

const RUNS = [
  { key: "label", title: "" },
  { key: "name", title: "Run", render: ({ name }) => html`<a href=${href("overview", { run: name })}>${name}</a>` },
  { key: "state", title: "State", render: ({ state }) => html`<div><${RunState} value=${state} /></div>` },
  { key: "verdict", title: "Gate", render: ({ verdict, judged_under: profile }) => verdict &&
    html`<div><${Verdict} value=${verdict} note=${profile} /></div>` },
  { key: "profile", title: "Profile" },
  { key: "tokenizer", title: "Tokenizer", render: (run) => html`<code>${digest(run.tokenizer)}</code>` },
  { key: "held_out_text", title: "Held-out text", render: (run) => html`<code>${digest(run.held_out_text)}</code>` },
  { key: "weights_digest", title: "Weights", render: (run) => html`<code>${digest(run.weights_digest)}</code>` },
];
