// Lineage: verify, what is broken first, the graph of stages, the list of files.
import { bytes, integer } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { setQuery } from "../router.js";
import { Facts, Section } from "../parts/page.js";
import { Empty, Partial, Resource } from "../parts/states.js";
import { Files, State } from "./artifacts_files.js";
import { Graph } from "./artifacts_graph.js";
import { Verify } from "./artifacts_verify.js";

const KINDS = ["reports", "checkpoints", "gate", "status", "processes"];

export function Lineage({ run, query }) {
  const lineage = useResource(`api/runs/${run}/lineage`, { run, kinds: KINDS });
  return html`<${Resource} of=${lineage} lines=${8}>${(found) => html`
    <${Verify} run=${run} verification=${found.verification} command=${found.command} look=${lineage.reload} />
    ${found.state === "empty"
      ? html`<${Empty} what="No stage has reported yet" do="Files appear here with the report of the stage that wrote them." />`
      : html`<${Known} run=${run} query=${query} ...${found} />`}`}<//>`;
}

function Known({ run, query, files, records, links, totals, left_out: leftOut }) {
  const broken = files.filter((file) => file.state === "mismatch" || file.state === "missing");
  const chosen = records.find((record) => record.path === query.record) ?? null;
  return html`
    <${Section} id="summary" title=${broken.length ? "Broken" : "State of the files"}>
      <${Facts} items=${[
        ["Verified", integer(totals.verified), `of ${integer(totals.files)} files`],
        ["Not hashed", integer(totals.unverified)],
        ["Mismatch", integer(totals.mismatch)],
        ["Missing", integer(totals.missing)],
        ["Stale because of them", integer(totals.stale)],
        ["Outside of the run", integer(totals.external)],
        ["Size", bytes(totals.bytes)],
      ]} />
      ${broken.length > 0 && html`<ul class="broken-files">${broken.slice(0, 20).map((file) => html`<li key=${file.path}>
        <${State} value=${file.state} /> <code class="path">${file.path}</code> <span class="muted">${file.why}</span></li>`)}</ul>`}
      ${broken.length > 20 && html`<p class="muted">and ${integer(broken.length - 20)} more, in the list below</p>`}
    <//>
    <${Section} id="graph" title="Who wrote, who read" aside=${chosen && html`<button type="button" class="copy"
        onClick=${() => setQuery({ record: null })}>Show all files</button>`}>
      <${Graph} records=${records} links=${links} chosen=${chosen?.path ?? null} />
    <//>
    <${Section} id="files" title=${chosen ? `Files of ${chosen.label}` : "Files"}>
      ${leftOut > 0 && html`<${Partial} what=${`${integer(leftOut)} more files are not listed here`} why="picochat verify goes over all of them" />`}
      <${Files} files=${chosen ? filesOf(files, chosen) : files} query=${query} />
    <//>`;
}

function filesOf(files, record) {
  const named = new Set([record.path, ...record.reads, ...record.writes]);
  return files.filter((file) => named.has(file.path));
}
