// How text became rows, how often each source was shown, and what of the judged rows stands in it.
import { UNKNOWN, bytes, count, integer, number, percent } from "../format.js";
import { html } from "../html.js";
import { href } from "../router.js";
import { Facts, Section } from "../parts/page.js";
import { Empty, ProblemBox } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const right = { align: "right" };
const SIDES = [
  { key: "side", title: "Side" },
  { key: "shards", title: "Shards", ...right, render: (row) => integer(row.shards) },
  { key: "tokens", title: "Tokens", ...right, render: (row) => count(row.tokens) },
  { key: "documents", title: "Documents", ...right, render: (row) => integer(row.documents) },
  { key: "bytes", title: "Size", ...right, render: (row) => bytes(row.bytes) },
];
const EXPOSURE = [
  { key: "source", title: "Source" },
  { key: "stage", title: "Training" },
  { key: "unique_tokens", title: "Unique tokens", ...right, render: (row) => count(row.unique_tokens) },
  { key: "epoch_tokens", title: "Tokens an epoch", ...right, render: (row) => count(row.epoch_tokens) },
  { key: "passes", title: "Passes", ...right, render: (row) => number(row.passes) },
];
const MATRIX = [
  { key: "set", title: "Judged rows" },
  { key: "against", title: "Looked for in" },
  { key: "items", title: "Items", ...right, render: (row) => integer(row.items) },
  { key: "question", title: "Question", ...right, render: (row) => integer(row.question) },
  { key: "answer", title: "Answer", ...right, render: (row) => integer(row.answer) },
  { key: "both", title: "Both", ...right, render: (row) => integer(row.both) },
  { key: "dirty", title: "Found", ...right, render: (row) => (row.dirty > 0
    ? html`<span><b>${integer(row.dirty)}</b> ${percent(row.dirty / row.items)}</span>` : integer(row.dirty)) },
];

export function Packing({ run, packing, contamination }) {
  const { shards, conversations, exposure, data_mode: mode } = packing;
  return html`
    <${Section} id="packing" title="Documents to rows" aside=${`data mode ${mode ?? UNKNOWN}`}>
      ${shards.state === "present" ? html`<${Shards} ...${shards} />` : html`<${NoShards} ...${shards} mode=${mode} />`}
    <//>
    <${Section} id="conversations" title="Conversations to rows">
      ${conversations.state === "unreadable"
        ? html`<${ProblemBox} error=${{ detail: "sft/report.json cannot be read", why: conversations.why }} />`
        : html`<${Facts} items=${[
          ["Conversations", integer(conversations.conversations), conversations.too_long !== null
            ? `${integer(conversations.too_long)} too long, left out` : null],
          ["Packed rows", integer(conversations.packed_rows), conversations.replay_rows !== null
            ? `${integer(conversations.replay_rows)} of base text` : null],
          ["Padding", percent(conversations.padding_frac)],
          ["Learned targets an epoch", count(conversations.supervised_targets_per_epoch)],
          ["Repeated prompts", percent(conversations.duplicate_prompts_frac)],
        ]} />`}
    <//>
    <${Section} id="exposure" title="Exposure" aside="how often a training showed each source">
      <${DataTable} caption="Exposure of each source" columns=${EXPOSURE} rows=${exposure}
        key=${(row, index) => `${row.stage} ${row.source} ${index}`} stack="m" empty="no training has reported yet" />
    <//>
    <${Section} id="contamination" title="Judged rows in the training text" aside=${html`<a href=${href("evals", { run, query: { tab: "honesty" } })}>both passages</a>`}>
      ${contamination.state === "missing"
        ? html`<${Empty} what="Nobody looked yet" do="The stage honesty searches before anything is trained." />`
        : contamination.state === "unreadable"
          ? html`<${ProblemBox} error=${{ detail: "honesty.json cannot be read", why: contamination.why }} />`
          : html`<${Matrix} ...${contamination} />`}
    <//>`;
}

function Shards({ sides, facts, exposure }) {
  const rows = Object.entries(facts).map(([name, value]) => ({ name: name.replaceAll("_", " "), value }));
  return html`<${DataTable} caption="Shards by side" columns=${SIDES} rows=${sides} key="side" stack="s" />
    <div class="columns below">
      <${DataTable} caption="Packing" showCaption rows=${rows} key="name" stack="none" empty="documents are not packed in this mode"
        columns=${[{ key: "name", title: "Packing" }, { key: "value", title: "Value", ...right, render: (row) => number(row.value) }]} />
      <${DataTable} caption="What an epoch shows" showCaption rows=${exposure} key="source" stack="none"
        columns=${EXPOSURE.filter(({ key }) => !["stage", "passes"].includes(key))} empty="the manifest names no source" />
    </div>`;
}

function NoShards({ state, why, mode }) {
  if (state === "unreadable") return html`<${ProblemBox} error=${{ detail: "shards/shards_manifest.json cannot be read", why }} />`;
  if (mode === "memory") return html`<p class="lead">The documents of this run are tokens in memory: no shards are written, and nothing is cropped or padded.</p>`;
  return html`<${Empty} what="No shards are written in this run" do="Runs that train from shards write them before the training begins." />`;
}

function Matrix({ matrix, sets }) {
  const uncheckable = sets.filter((entry) => entry.uncheckable > 0);
  return html`<${DataTable} caption="Items of each judged set that stand in each training text" columns=${MATRIX} rows=${matrix}
      key=${(row) => `${row.set} ${row.against}`} stack="m" empty="nothing was compared" />
    ${uncheckable.length > 0 && html`<p class="below"><${Verdict} value="not_run" note="too short to be looked for" />${" "}${
      uncheckable.map((entry) => `${entry.set}: ${integer(entry.uncheckable)} of ${integer(entry.items)}`).join(", ")}</p>`}`;
}
