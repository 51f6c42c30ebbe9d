// The list of files with their states. A state has sign, word and colour; stale stands beside it, never instead.
import { age, bytes, digest, time } from "../format.js";
import { html } from "../html.js";
import { setQuery } from "../router.js";
import { CopyButton } from "../parts/command.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const STATES = {
  verified: ["✓", "pass"], unverified: ["○", "neutral"], mismatch: ["✕", "block"], missing: ["✕", "block"],
  external: ["↗", "neutral"],
};
const ORDER = ["mismatch", "missing", "unverified", "external", "verified"];

/** One of the five states of a file. */
export function State({ value, note = null }) {
  const [sign, tone] = STATES[value] ?? ["–", "neutral"];
  return html`<span class=${`badge ${tone}`}><span class="sign" aria-hidden="true">${sign}</span>${value}${note && html`<span class="note"> ${note}</span>`}</span>`;
}

const COLUMNS = [
  { key: "path", title: "File", sort: true, render: (file) => html`<code class="path">${file.path}</code>${
    file.why && file.state !== "unverified" && html`<span class="fact-note">${file.why}</span>`}` },
  { key: "state", title: "State, hashed", sort: (file) => -ORDER.indexOf(file.state) + (file.stale ? 0.5 : 0), render: (file) => html`<${State}
    value=${file.state} note=${file.checked_at && age(file.checked_at)} />${file.stale && html` <${Verdict} value="stale" />
    <span class="fact-note path">since ${file.stale_because}</span>`}` },
  { key: "sha256", title: "sha256", render: (file) => file.sha256 && html`<span class="digest-cell"><code>${digest(file.sha256)}</code>
    <${CopyButton} text=${file.sha256} what="Digest copied" /></span>` },
  { key: "bytes", title: "Size", align: "right", sort: true, render: (file) => bytes(file.bytes) },
  { key: "modified_at", title: "Changed", sort: true, render: (file) => file.modified_at && time(file.modified_at) },
  { key: "written_by", title: "Written by", sort: true },
  { key: "read_by", title: "Read by", render: (file) => file.read_by.join(", ") },
];

export function Files({ files, query }) {
  const { state = "", find = "" } = query;
  const word = find.toLowerCase();
  const shown = files.filter((file) => (state === "" || file.state === state || (state === "stale" && file.stale))
    && (word === "" || file.path.toLowerCase().includes(word)));
  return html`<form class="controls" role="search" onSubmit=${(event) => event.preventDefault()}>
      <label>Name holds ${" "}<input type="search" value=${find} spellcheck="false" autocomplete="off"
        onInput=${(event) => setQuery({ find: event.currentTarget.value || null })} /></label>
      <label>State ${" "}<select value=${state} onChange=${(event) => setQuery({ state: event.currentTarget.value || null })}>
        <option value="">all</option>
        ${[...Object.keys(STATES), "stale"].map((name) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select></label>
      <span class="muted">${shown.length === files.length ? `${files.length} files` : `${shown.length} of ${files.length} files`}</span>
    </form>
    <div class="file-table"><${DataTable} caption="Files of the run" columns=${COLUMNS} rows=${shown} key="path" stack="l" param="sort"
      order="-state" empty="no file answers to this" /></div>`;
}
