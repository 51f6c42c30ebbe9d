// The corpus: where it came from under which licence, what was kept, how duplicates were found, how it was split.
import { UNKNOWN, bytes, count, digest, integer, number, percent } from "../format.js";
import { html } from "../html.js";
import { href } from "../router.js";
import { Facts, Section } from "../parts/page.js";
import { Empty, ProblemBox } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const right = { align: "right", sort: true };
const SOURCES = [
  { key: "id", title: "Source", render: (row) => html`${row.hub_dataset ?? row.id ?? UNKNOWN}${row.documents_are === "guessed"
    && html` <${Verdict} value="warn" note="documents are guessed" />`}` },
  { key: "licence", title: "Licence", render: (row) => known(row, "licence") },
  { key: "revision", title: "Revision", render: (row) => known(row, "revision") },
  { key: "read", title: "Read", ...right, render: (row) => integer(row.read) },
  { key: "kept", title: "Kept", ...right, render: (row) => integer(row.kept) },
  { key: "dropped", title: "Dropped", ...right, render: (row) => integer(row.dropped) },
  { key: "weight", title: "Passes an epoch", ...right, render: (row) => (row.token_budget !== null
    ? `${count(row.token_budget)} tokens` : number(row.weight)) },
  { key: "train_bytes", title: "Train text", ...right, render: (row) => bytes(row.train_bytes) },
  { key: "personal", title: "Secrets, e-mails", align: "right",
    render: (row) => `${integer(row.secrets)}, ${integer(row.emails)}` },
  { key: "sha256", title: "Content sha256", render: (row) => html`<code>${digest(row.sha256)}</code>` },
];
const CHECKS = { documents_read: "documents read back", exact_left: "exact copies left", exact_leak: "exact copies of val in train",
  near_leak: "near copies of val in train", digest_mismatch: "digests that differ", misplaced: "documents on the wrong side",
  unknown_side: "documents without a side", audited: "documents of the audit", audit_near: "near copies that the audit found" };
const LEAKS = ["exact_leak", "near_leak", "digest_mismatch", "misplaced", "unknown_side", "exact_left"];

function known(row, key) {
  return row.unknown.includes(key) ? html`<${Verdict} value="warn" note=${`${key} unknown`} />` : row[key];
}

export function Corpus({ run, dataset }) {
  if (dataset.state === "missing") {
    return html`<${Empty} what="No corpus was built in this run" do="It appears here as soon as the stage dataset has written its manifest." />`;
  }
  if (dataset.state === "unreadable") {
    return html`<${ProblemBox} error=${{ detail: "the manifest of the corpus cannot be read", why: dataset.why }} />`;
  }
  const { pack, counts, split, sources, warnings } = dataset;
  return html`
    <${Section} id="corpus" title=${pack.name ? `Pack ${pack.name}` : "Pack"}>
      ${pack.description && html`<p class="lead">${pack.description}</p>`}
      <${Facts} items=${[
        ["Documents", integer(counts.documents), shares(counts)],
        ["Text", bytes(counts.bytes), counts.chars !== undefined ? `${count(counts.chars)} characters` : null],
        ["Train", integer(counts.train_documents), bytes(counts.train_bytes)],
        ["Validation", integer(counts.val_documents), bytes(counts.val_bytes)],
        ["Held out", percent(split.val_fraction), split.salt ? `salt ${split.salt}` : null],
        ["Languages", pack.languages.join(", ") || UNKNOWN],
        ["Contamination", pack.contamination ?? UNKNOWN, "what the pack asks for"],
        ["Pack digest", html`<code>${digest(pack.digest)}</code>`],
      ]} />
      ${warnings.length > 0 && html`<ul class="pack-warnings">${warnings.map((text) => html`<li key=${text}>
        <${Verdict} value="warn" /> ${text}</li>`)}</ul>`}
    <//>
    <${Section} id="sources" title="Sources">
      <${DataTable} caption="Sources with their licences" columns=${SOURCES} rows=${sources} key="id" stack="l"
        empty="the manifest names no source" />
    <//>
    <div class="columns">
      <${Section} id="drops" title="Dropped" aside=${dataset.dropped.total !== null && `${integer(dataset.dropped.total)} documents`}>
        <${DataTable} caption="Documents that were dropped, by reason" columns=${dropColumns(run)}
          rows=${dataset.dropped.reasons} key="reason" stack="s"
          empty=${dataset.dropped.total === null ? "which documents were dropped is unknown" : "no document was dropped"} />
      <//>
      <${Duplicates} ...${dataset.duplicates} />
    </div>
    <div class="columns">
      <${ChatSides} ...${dataset.chat} />
      <${ReadBack} checks=${dataset.checks} />
    </div>`;
}

function shares({ documents, val_documents: val }) {
  return documents && val !== null && val !== undefined ? `${percent(val / documents)} of them validation` : null;
}

function dropColumns(run) {
  const link = ({ reason }) => href("data", { run, query: { tab: "dropped", reason } });
  return [
    { key: "reason", title: "Reason", render: (row) => html`<a href=${link(row)}>${row.reason.replaceAll("_", " ")}</a>
      <span class="fact-note">${row.says}</span>` },
    { key: "documents", title: "Documents", ...right, render: (row) => integer(row.documents) },
  ];
}

function Duplicates({ exact_removed: exact, near_removed: removed, near, engine, found, parameters, curve, audited, left }) {
  const word = { ran: null, off: "near copies were not searched for", not_run: "near copies were not searched for" }[near];
  return html`<${Section} id="duplicates" title="Duplicates">
    <${Facts} items=${[
      ["Exact copies removed", integer(exact)],
      ["Near copies removed", integer(removed), word],
      ["Pairs compared", integer(found.verified), found.links !== null ? `${integer(found.links)} linked` : null],
      ["Left, by the audit", integer(left), audited !== null ? `of ${integer(audited)} documents` : null],
      ["Engine", engine ?? UNKNOWN],
      ["Joined from", number(parameters.threshold), parameters.bands ? `Jaccard; ${parameters.bands} bands of ${parameters.rows}` : "Jaccard"],
    ]} />
    ${curve.length > 0 && html`<details class="fold"><summary>How likely two documents are to be compared</summary>
      <${DataTable} caption="Chance that a pair is compared, by how alike the two are" rows=${curve.map(([at, chance]) => ({ at, chance }))}
        columns=${[{ key: "at", title: "Jaccard" }, { key: "chance", title: "Chance", align: "right", render: ({ chance }) => percent(chance) }]}
        key="at" stack="none" /></details>`}
  <//>`;
}

function ChatSides({ categories, ...chat }) {
  const columns = [
    { key: "category", title: "Category" },
    ...["train", "heldout", "eval"].map((side) => ({ key: side, title: side === "heldout" ? "held out" : side, ...right,
      render: (row) => integer(row[side]) })),
  ];
  return html`<${Section} id="chat" title="Chat rows" aside=${chat.disjoint_violations !== null && html`<${Verdict}
      value=${chat.disjoint_violations > 0 ? "block" : "pass"} note=${`${integer(chat.disjoint_violations)} shared`} />`}>
    <p class="lead">${integer(chat.rows)} train, ${integer(chat.heldout_rows)} held out, ${integer(chat.eval_rows)} eval;
      ${" "}${integer(chat.mixed_rows)} in neither set.</p>
    <${DataTable} caption="Chat rows by category and side" columns=${columns} rows=${categories} key="category" stack="s"
      empty="no chat rows are counted" />
  <//>`;
}

function ReadBack({ checks }) {
  const rows = Object.entries(checks).map(([key, value]) => ({ key, title: CHECKS[key] ?? key.replaceAll("_", " "), value }));
  const columns = [
    { key: "title", title: "Read back from disk", render: (row) => html`${row.title}${LEAKS.includes(row.key) && row.value > 0
      && html` <${Verdict} value="block" />`}` },
    { key: "value", title: "Documents", align: "right", render: (row) => integer(row.value) },
  ];
  return html`<${Section} id="checks" title="Checks of the written corpus">
    <${DataTable} caption="What the written corpus says of itself" columns=${columns} rows=${rows} key="key" stack="none"
      empty="the manifest holds no checks" />
  <//>`;
}
