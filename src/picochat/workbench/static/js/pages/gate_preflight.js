// Preflight in full, passes too: what was measured on which files, on which machine, and whether it still holds.
import { age, bytes, digest, duration, time } from "../format.js";
import { html } from "../html.js";
import { setQuery } from "../router.js";
import { Checks } from "../parts/checks.js";
import { Command } from "../parts/command.js";
import { Facts, Section } from "../parts/page.js";
import { Partial } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";
import { Changed, Unread } from "./gate_release.js";
import { Repairs } from "./gate_repairs.js";

const INPUTS = [
  { key: "path", title: "file" },
  { key: "bytes", title: "size", align: "right", render: (input) => bytes(input.bytes) },
  { key: "sha256", title: "sha256", render: (input) => html`<code>${digest(input.sha256)}</code>` },
  { key: "state", title: "now", render: (input) => ["changed", "gone"].includes(input.state) || input.state?.startsWith("has ")
    ? html`<${Verdict} value="stale" note=${input.state} />` : input.state },
];

export function Preflight({ run, preflight, selected = null }) {
  const ready = preflight.state === "ready";
  return html`<div class="verdict-line">
      <p class="verdict-word"><${Verdict} value=${preflight.verdict ?? (preflight.state === "missing" ? "not_run"
        : "unreadable")} /> ${preflight.stale.is && html`<${Verdict} value="stale" />`} <b>${preflight.line}</b></p>
      ${ready && html`<${Facts} items=${facts(preflight)} />`}
    </div>
    <${Unread} set=${preflight} what="preflight" />
    ${preflight.stale.is && html`<${Changed} stale=${preflight.stale} />`}
    ${ready && preflight.rows.length === 0 && html`<${Partial} what="this record lists no checks" />`}
    ${ready && preflight.rows.length > 0 && html`
      ${!preflight.trained && html`<${Repairs} run=${run} set="preflight" />`}
      <${Section} id="checks" title="Checks">
        <${Checks} rows=${preflight.rows} caption="Checks of preflight, the worst first" openFirst filter
          judged=${preflight.judged_at} copy="preflight" markdown=${preflight.markdown} selected=${selected}
          onSelect=${(check) => setQuery({ check })} />
        ${preflight.not_asked.length > 0 && html`<p class="small muted">Not asked of this machine: ${
          preflight.not_asked.join(", ")}.</p>`}
      <//>`}
    ${ready && html`<${Section} id="inputs" title="What was judged">
      <${DataTable} caption="Files that preflight judged" columns=${INPUTS} rows=${preflight.inputs} rowKey="path" />
      <${Command} text=${preflight.command} why=${preflight.trained
        ? "This run is trained: another one like it is built and judged by" : "Judge it again"} />
    <//>`}`;
}

function facts({ profile, column, limits_version: version, facts: found, judged_at: when, duration_s: seconds }) {
  return [
    ["limits", column && `${column}, version ${version ?? "—"}`, profile && `gate set ${profile}`],
    ["machine", found?.machine && `${found.machine.name}, ${found.machine.ranks} rank(s)`],
    ["judged", when && age(when), time(when)],
    ["took", duration(seconds)],
  ];
}
