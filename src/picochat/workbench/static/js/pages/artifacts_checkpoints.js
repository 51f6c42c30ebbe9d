// Checkpoints: what is saved, which of them ships, what is ignored and why, and the command that goes on.
import { age, bpb, bytes, count, digest, integer } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { setQuery } from "../router.js";
import { Command, CopyButton } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Empty, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const right = { align: "right", sort: true };
const COLUMNS = [
  { key: "folder", title: "Folder", render: (row) => html`<code class="path">${row.folder}</code>${row.problem
    && html`<span class="fact-note">${row.problem}</span>`}` },
  { key: "role", title: "Kind", render: (row) => html`${row.role}${row.chosen && html`<span class="fact-note">holds the ${row.chosen} weights</span>`}` },
  { key: "complete", title: "Complete", render: (row) => html`<${Verdict} value=${row.complete ? "pass" : "block"}
    note=${row.complete ? "files and sizes" : "ignored"} />${row.ships
    && html` <span class="badge active"><span class="sign" aria-hidden="true">→</span>ships</span>`}` },
  { key: "step", title: "Step", ...right, render: (row) => integer(row.step) },
  { key: "tokens_seen", title: "Tokens", ...right, render: (row) => count(row.tokens_seen) },
  { key: "bpb", title: "BPB", ...right, render: (row) => bpb(row.bpb) },
  { key: "ema", title: "EMA", render: (row) => (row.ema === null ? null : row.ema ? "yes" : "no") },
  { key: "bytes", title: "Size", ...right, render: (row) => bytes(row.bytes) },
  { key: "saved_at", title: "Saved", sort: true, render: (row) => row.saved_at && age(row.saved_at) },
  { key: "weights_digest", title: "Weights digest", render: (row) => row.weights_digest && html`<span class="digest-cell"><code>${
    digest(row.weights_digest)}</code> <${CopyButton} text=${row.weights_digest} what="Digest copied" /></span>` },
  { key: "more", title: "Conditions", render: (row) => row.complete && html`<button type="button" class="copy"
    onClick=${() => setQuery({ checkpoint: row.folder })}>Show</button>` },
];
const IGNORED = [
  { key: "folder", title: "Folder", render: (row) => html`<code class="path">${row.folder}</code>` },
  { key: "why", title: "Why it is ignored" },
];

export function Checkpoints({ run, query }) {
  const found = useResource(`api/runs/${run}/checkpoints`, { run, kinds: ["checkpoints", "reports", "events"] });
  return html`<${Resource} of=${found} lines=${6}>${(data) => html`<${Known} ...${data} chosen=${query.checkpoint} />`}<//>`;
}

function Known({ checkpoints, ignored, resume, command, chosen }) {
  const open = checkpoints.find((row) => row.folder === chosen && row.complete);
  return html`<${Section} id="checkpoints" title="Checkpoints">
      ${checkpoints.length === 0
        ? html`<${Empty} what="No checkpoint is saved yet" do="The first one appears after base.loop.save_every steps, and at the end of the training." />`
        : html`<p class="lead">What ships is the folder named checkpoint: evaluation, gate, serve and export read it, and none of them falls back.
            ${" "}Files and sizes are compared here; the command hashes them too.</p>
          <div class="file-table"><${DataTable} caption="Checkpoints" columns=${COLUMNS} rows=${checkpoints} key="folder" stack="l" /></div>`}
      <div class="commands-beside below">
        <${Command} text=${command} why="Hash every checkpoint" />
        ${resume && html`<${Command} text=${resume} why="Go on with the run from its last whole checkpoint" />`}
      </div>
    <//>
    ${open && html`<${Conditions} ...${open} />`}
    ${ignored.length > 0 && html`<${Section} id="ignored" title="Ignored">
      <${DataTable} caption="Folders that no reader takes for a checkpoint" columns=${IGNORED} rows=${ignored} key="folder" stack="s" />
    <//>`}`;
}

function Conditions({ folder, fingerprint, files, world_size: world }) {
  const rows = fingerprint.map(([key, value]) => ({ key, value: value === null ? null : String(value) }));
  return html`<${Section} id="conditions" title=${`Conditions of ${folder}`} aside=${html`<button type="button" class="copy"
      onClick=${() => setQuery({ checkpoint: null })}>Close</button>`}>
    <p class="lead">A resume compares each of these and refuses another value, but for the few that are declared safe. Saved by ${integer(world)}
      ${world === 1 ? " process" : " processes"}.</p>
    <div class="columns">
      <${DataTable} caption="Training fingerprint" showCaption rows=${rows} key="key" stack="s" empty="the manifest holds no fingerprint"
        columns=${[{ key: "key", title: "Field" }, { key: "value", title: "Value", render: (row) => row.value && html`<code>${row.value}</code>` }]} />
      <${DataTable} caption="Files" showCaption rows=${files} key="name" stack="s" columns=${[
        { key: "name", title: "File" }, { key: "bytes", title: "Size", align: "right", render: (row) => bytes(row.bytes) },
        { key: "sha256", title: "sha256", render: (row) => html`<code>${digest(row.sha256)}</code>` }]} />
    </div>
  <//>`;
}
