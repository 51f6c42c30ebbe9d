// Stages and the files that went between them, as boxes and lines; the table beside it says the same in words.
import { integer } from "../format.js";
import { html } from "../html.js";
import { href, route, setQuery } from "../router.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const BOX = { width: 132, height: 44, gap: 26, step: 176, pad: 8 };

/** `chosen`: the path of the record whose files are listed. */
export function Graph({ records, links, chosen }) {
  const places = layOut(records);
  const width = Math.max(...[...places.values()].map(({ x }) => x)) + BOX.width + BOX.pad;
  const height = Math.max(...[...places.values()].map(({ y }) => y)) + BOX.height + BOX.pad;
  const labels = new Map(records.map((record) => [record.path, record.label]));
  return html`<figure class="lineage">
    <figcaption class="unseen">${records.length} records; ${records.filter(({ stale }) => stale).length} are stale.
      The table below names every link.</figcaption>
    <div class="lineage-scroll" tabindex="0" role="region" aria-label="Graph of the stages">
      <svg viewBox=${`0 0 ${width} ${height}`} width=${width} height=${height} aria-hidden="true" focusable="false">
        ${links.map((link) => html`<${Line} key=${`${link.from} ${link.to}`} link=${link} places=${places} chosen=${chosen} />`)}
        ${records.map((record) => html`<${Box} key=${record.path} record=${record} at=${places.get(record.path)}
          chosen=${chosen === record.path} />`)}
      </svg>
    </div>
    <details class="fold below"><summary>The same as a table</summary>
      <${DataTable} caption="Records and what they read" columns=${columns(labels, links)} rows=${records} key="path" stack="m" />
    </details>
  </figure>`;
}

// A column for each depth; a column with many boxes is longer, and nothing else moves.
function layOut(records) {
  const columns = new Map();
  const places = new Map();
  for (const record of records) {
    const row = columns.get(record.depth) ?? 0;
    columns.set(record.depth, row + 1);
    places.set(record.path, { x: BOX.pad + record.depth * BOX.step, y: BOX.pad + row * (BOX.height + BOX.gap) });
  }
  return places;
}

function Line({ link, places, chosen }) {
  const [from, to] = [places.get(link.from), places.get(link.to)];
  const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
  const [x2, y2] = [to.x, to.y + BOX.height / 2];
  const bend = Math.max(24, (x2 - x1) / 2);
  const lit = chosen !== null && (link.from === chosen || link.to === chosen);
  return html`<path class=${["way", link.broken && "broken", lit && "lit"].filter(Boolean).join(" ")}
    d=${`M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`} />`;
}

function Box({ record, at, chosen }) {
  const own = record.state === "mismatch" || record.state === "missing";
  const tone = own || record.broken_files > 0 ? "broken" : record.stale ? "stale" : "whole";
  const word = { broken: own ? `✕ ${record.state}` : `✕ ${record.broken_files} broken`, stale: "⟳ stale", whole: "✓ whole" }[tone];
  return html`<g class=${`box ${tone}${chosen ? " chosen" : ""}`} transform=${`translate(${at.x} ${at.y})`}
    onClick=${() => setQuery({ record: chosen ? null : record.path })}>
    <rect width=${BOX.width} height=${BOX.height} rx="5" />
    <text x="10" y="18" class="label">${record.label.slice(0, 18)}</text>
    <text x="10" y="34" class="word">${word}</text>
  </g>`;
}

function columns(labels, links) {
  const named = (paths) => paths.map(({ path, files, broken }) => `${labels.get(path)} (${integer(files)}${broken ? ", broken" : ""})`).join(", ");
  const { page, run, query } = route.value;
  return [
    { key: "label", title: "Record", render: (record) => html`<a href=${href(page, { run, query: { ...query, record: record.path } })}>${record.label}</a>
      <span class="fact-note path">${record.path}</span>` },
    { key: "state", title: "State", render: (record) => html`${record.state === "verified" ? null : html`<${Verdict} value="block" note=${record.problem || record.state} />`}${
      record.broken_files > 0 && html`<${Verdict} value="block" note=${`${integer(record.broken_files)} of its files`} />`}
      ${record.stale ? html`<${Verdict} value="stale" note=${`since ${record.stale_because}`} />` : record.state === "verified" && record.broken_files === 0 && html`<${Verdict} value="pass" />`}` },
    { key: "from", title: "Read from (files)", render: (record) => named(links.filter(({ to }) => to === record.path).map((link) => ({ ...link, path: link.from }))) },
    { key: "to", title: "Read by (files)", render: (record) => named(links.filter(({ from }) => from === record.path).map((link) => ({ ...link, path: link.to }))) },
  ];
}
