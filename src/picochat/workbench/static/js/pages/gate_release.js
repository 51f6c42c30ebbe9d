// The verdict of the gate: the word with its profile and weights, what is stale, what mends it, every check.
import { age, digest, time } from "../format.js";
import { html } from "../html.js";
import { setQuery } from "../router.js";
import { Checks, stops } from "../parts/checks.js";
import { Facts, Section } from "../parts/page.js";
import { Empty, Stale } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";
import { JudgeAgain } from "./gate_again.js";
import { Explain } from "./gate_explain.js";
import { Repairs } from "./gate_repairs.js";

const WAIVERS = ["check", "effect", "by", "reason", "until"].map((key) => ({ key, title: key }));

export function Release({ run, gate, reload, selected = null }) {
  return html`<${Verdicts} gate=${gate} />
    <${Unread} set=${gate} what="gate" />
    ${gate.stale.is && html`<${Changed} stale=${gate.stale} />`}
    ${gate.state === "ready" && html`<${Repairs} run=${run} set="gate" />
      <${Section} id="checks" title="Checks" aside=${counts(gate)}>
        <${Checks} rows=${gate.rows} caption="Checks of the gate, the worst first" openFirst copy="checks" filter
          judged=${gate.judged_at} selected=${selected} onSelect=${(id) => setQuery({ check: id })}
          detail=${(row) => html`<${Explain} run=${run} check=${row.id} />`} />
        <${Beside} gate=${gate} selected=${selected} />
      <//>
      <${Waivers} waivers=${gate.waivers} day=${gate.judged_on} />`}
    <${JudgeAgain} run=${run} gate=${gate} reload=${reload} />`;
}

function Verdicts({ gate }) {
  const stopping = gate.rows.filter(stops);
  return html`<div class="verdict-line">
    <p class="verdict-word"><${Verdict} value=${gate.verdict ?? (gate.state === "missing" ? "not_run" : "unreadable")} />
      ${gate.stale.is && html`<${Verdict} value="stale" />`}
      <b>${sentence(gate, stopping)}</b></p>
    ${gate.state === "ready" && html`<${Facts} items=${[
      ["gate set", gate.profile && `${gate.profile}, version ${gate.profile_version ?? "—"}`,
        gate.newer_profile ? "a newer version is here" : `sha256 ${digest(gate.profile_digest)}`],
      ["weights", html`<code>${digest(gate.weights_digest)}</code>`],
      ["judged", gate.judged_at && age(gate.judged_at), time(gate.judged_at)],
      ["failpoints", gate.failpoints.length > 0 ? gate.failpoints.join(", ") : "none armed"],
    ]} />`}
  </div>`;
}

function sentence(gate, stopping) {
  if (gate.state !== "ready") return gate.state === "missing" ? "Nothing was judged yet." : "No verdict can be read.";
  const first = stopping.slice(0, 3).map((row) => row.id).join(", ");
  if (stopping.length > 0) {
    return `${stopping.length} of ${gate.rows.length} checks stop it: ${first}${stopping.length > 3 ? " …" : ""}`;
  }
  if (gate.verdict === "warn") return "Nothing blocks, and something warns: this is no release.";
  return gate.profile === "research" ? "Approved under research: that speaks for integrity alone." : "Nothing stops it.";
}

function counts({ counts: found }) {
  const words = [["block", "block"], ["not_run", "not run"], ["warn", "warn"], ["waived", "waived"], ["pass", "pass"]];
  return words.filter(([key]) => found[key] > 0).map(([key, word]) => `${found[key]} ${word}`).join(" · ");
}

/** A set that is missing, torn, edited or of another version: what it is and what to do. */
export function Unread({ set, what }) {
  if (set.state === "ready") return null;
  const cures = {
    missing: `Nothing has judged this run: the ${what} reads artifacts alone, and takes seconds.`,
    unreadable: "The file is torn or is none of ours; judging again writes it anew and keeps the old one under a number.",
    changed: "A verdict that was edited is no verdict; judging again writes it anew.",
    other_version: "It was written by another version of the program; judge it again with this one.",
  };
  const title = set.state === "missing" ? `Not judged: ${set.why}` : `${set.state.replace("_", " ")}: ${set.why}`;
  return html`<${Empty} what=${title} do=${cures[set.state]} command=${set.command} />`;
}

/** What changed since: the old verdict stays beside it. */
export function Changed({ stale }) {
  const names = stale.changed.slice(0, 4).map(({ path, how }) => `${path} ${how}`);
  const more = stale.changed.length - names.length;
  const rows = stale.changed.length === 0 ? `${stale.rows.length} checks were judged on other files` : "";
  const why = `since the verdict: ${names.join("; ")}${more > 0 ? ` and ${more} more` : ""}${rows}`;
  return html`<${Stale} why=${why} />`;
}

function Beside({ gate, selected }) {
  return html`
    ${gate.shown.length > 0 && html`<details class="beside" open=${gate.shown.some((row) => row.id === selected)}>
      <summary>${gate.shown.length} more, shown and no part of the verdict</summary>
      <${Checks} rows=${gate.shown} caption="Shown checks" selected=${selected} /></details>`}
    ${gate.not_judged.length > 0 && html`<p class="small muted">Not judged by this version of the gate set: ${
      gate.not_judged.join(", ")}.</p>`}
    ${gate.stale.unhashed.length > 0 && html`<p class="small muted">Too large to be hashed for a page, unchanged by size
      and time: ${gate.stale.unhashed.join(", ")}. <code>picochat verify</code> hashes them.</p>`}`;
}

function Waivers({ waivers, day }) {
  if (waivers.length === 0) return null;
  return html`<${Section} id="waivers" title=${`Waivers, as of ${day ?? "—"}`}>
    <p class="muted">A waived check is not passed: its person answers for it until the day named, and the run is no
      release. Contamination and integrity are never waived.</p>
    <${DataTable} caption="Waivers" columns=${WAIVERS} rows=${waivers} rowKey="check" />
  <//>`;
}
