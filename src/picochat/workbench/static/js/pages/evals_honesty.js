// Honesty: what stands in the training text, with both passages; what is known by heart; faulty replies.
import { integer, percent } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { href } from "../router.js";
import { Command } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Partial, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Hits, LIMIT } from "./evals_hits.js";
import { Memorisation } from "./evals_memorisation.js";
import { Rate, Source, Text } from "./evals_text.js";

const SIDES = [
  ["all", "all items"], ["clean", "clean"], ["dirty", "in the training text"], ["uncheckable", "uncheckable"],
];
const FAULTS = [
  ["echo", "Repeats the prompt"], ["repetition", "Repeats itself"], ["unfinished", "Unfinished"],
  ["unsupported", "Claims what it cannot know"], ["refused", "Refuses a harmless request"],
];

export function Honesty({ run, query }) {
  const cursors = (query.pages ?? "").split(".").filter(Boolean);
  const params = { set: query.set, against: query.text, cursor: cursors.at(-1), limit: LIMIT };
  const found = useResource(`api/runs/${run}/honesty`, { params, run, kinds: ["reports"] });
  return html`<${Resource} of=${found} lines=${8}>${(data) => html`
    <${Section} id="contamination" title="Contamination"
      aside="what the model is judged on, looked for in what it was trained on">
      <${Source} of=${data.contamination.source} what="Nothing was looked for in the training text"
        todo="The search is a stage of every run; until it is done nobody knows.">
        <${Contamination} of=${data.contamination} run=${run} query=${query} />
        <${Hits} of=${data.hits} query=${query} cursors=${cursors} />
      <//>
    <//>
    <${Memorisation} of=${data.memorisation} command=${data.commands.memorisation} />
    <${Replies} of=${data.replies} run=${run} />
    <${Section} id="honesty-commands" title="In a terminal">
      <${Command} text=${data.commands.inspect} why="The dataset of this run, and what was found in it" />
      <${Command} text=${data.commands.memorisation} why="Measure again what the model knows by heart" />
    <//>`}<//>`;
}

function Contamination({ of: found, run, query }) {
  const passages = ({ set, against, hits }) => hits > 0 && html`<a aria-label=${`passages of ${set} in ${against}`}
    href=${href("evals", { run, query: { ...query, set, text: against, pages: null } })}>show ${integer(hits)}</a>`;
  const dirty = (cell) => html`<span class=${cell.dirty > 0 ? "ev-found" : null}>${integer(cell.dirty)}</span>`;
  const figures = (key) => ({ key, title: key, align: "right", sort: true, render: (cell) => integer(cell[key]) });
  const columns = [
    { key: "set", title: "Judged on", sort: true },
    { key: "against", title: "Looked for in", sort: true },
    ...["items", ...found.columns].map(figures),
    { key: "dirty", title: "Items found", align: "right", sort: true, render: dirty },
    { key: "passages", title: "Passages", render: passages },
  ];
  const { totals } = found;
  return html`<p>${integer(totals.items)} items: ${integer(totals.clean)} clean, ${integer(totals.dirty)} found in the
      training text, ${integer(totals.uncheckable)} too short to be checked and never counted as clean.</p>
    <${DataTable} caption="Contamination: sets against training texts" columns=${columns} rows=${found.matrix}
      rowKey=${({ set, against }) => `${set} in ${against}`} stack="l" empty="nothing was compared" />
    ${found.not_scanned.map(({ set, reason }) => html`<${Partial} key=${set} what=${`${set} was not looked for`}
      why=${reason} />`)}
    <${Scores} sets=${found.sets} /><${Spans} sets=${found.sets} /><${Phrases} sets=${found.sets} />`;
}

function Scores({ sets }) {
  const rows = sets.flatMap(({ name, scores }) => Object.entries(scores).map(([label, rates]) => (
    { key: `${name}/${label}`, name, label, rates })));
  const columns = [
    { key: "name", title: "Set" },
    { key: "label", title: "Rows" },
    ...SIDES.map(([side, title]) => ({ key: side, title, render: ({ rates }) => html`<${Rate} of=${rates[side]} />` })),
  ];
  return html`<${More} title="Scores with and without what was found" rows=${rows} columns=${columns} stack="l" />`;
}

function Spans({ sets }) {
  const rows = sets.flatMap(({ name, spans }) => spans.map((span, at) => ({ ...span, name, key: `${name}/${at}` })));
  const columns = [
    { key: "name", title: "Set" },
    { key: "against", title: "In" },
    { key: "words", title: "Words", align: "right" },
    { key: "rate", title: "Share", align: "right", render: ({ rate }) => percent(rate) },
    { key: "n", title: "Spans", align: "right", render: ({ n }) => integer(n) },
  ];
  return html`<${More} title="Spans of held-out documents that the training text has too" rows=${rows} columns=${columns} />`;
}

function Phrases({ sets }) {
  const rows = sets.flatMap(({ name, boilerplate }) => boilerplate.map((entry, at) => (
    { ...entry, name, key: `${name}/${at}` })));
  const columns = [
    { key: "name", title: "Set" },
    { key: "text", title: "Phrase", render: ({ text }) => html`<${Text} value=${text} />` },
    { key: "items", title: "Items", align: "right", render: ({ items }) => integer(items) },
  ];
  return html`<${More} title="Phrases of many items, left out of the search" rows=${rows} columns=${columns} />`;
}

function More({ title, rows, columns, stack = "s" }) {
  if (rows.length === 0) return null;
  return html`<details class="ev-more"><summary>${title} (${integer(rows.length)})</summary>
    <${DataTable} caption=${title} columns=${columns} rows=${rows} stack=${stack} /></details>`;
}

function Replies({ of: found, run }) {
  const rows = Object.entries(found.sets).map(([set, rates]) => ({ set, ...rates }));
  const fault = ([key, title]) => ({
    key,
    title,
    render: (row) => row[key] && html`<${Rate} of=${row[key]} /> ${row[key].k > 0 && html`<a
      href=${href("evals", { run, query: { tab: "rows", set: row.set, filter: key } })}
      aria-label=${`${title}: rows of ${row.title}`}>rows</a>`}`,
  });
  const columns = [
    { key: "title", title: "Rows" },
    ...FAULTS.map(fault),
    { key: "benign", title: "Harmless requests answered rightly", render: ({ benign }) => html`<${Rate} of=${benign} />` },
  ];
  return html`<${Section} id="replies" title="Faulty replies and over-refusal"
    aside="a harmless request that is refused is over-refusal">
    <${Source} of=${found.source} what="This run was not evaluated">
      <${DataTable} caption="Faults of replies by set" columns=${columns} rows=${rows} rowKey="set" stack="l" />
    <//>
  <//>`;
}
