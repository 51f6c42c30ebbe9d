// Published benchmarks: where the run stands with each, what the score means, and what was published beside it.
import { count, digest, integer, number, percent, time } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { href } from "../router.js";
import { Command } from "../parts/command.js";
import { Facts, Section } from "../parts/page.js";
import { Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Word, interval } from "./evals_text.js";

const STATUSES = [
  ["not run", "there is no report"],
  ["partial", "computed again from its rows for these weights, on a part of the benchmark"],
  ["stale", "measured on other weights than those that ship now"],
  ["attached", "a report of another run or another program: it proves nothing about these weights"],
  ["broken", "the report does not follow from its rows, or cannot be read"],
  ["verified", "computed again from its rows, for these weights, on the whole benchmark"],
];

export function Benchmarks({ run, query }) {
  const found = useResource(`api/runs/${run}/benchmarks`, { run, kinds: ["reports", "checkpoints"] });
  return html`<${Resource} of=${found} lines=${8}>${(data) => html`<${Table} data=${data} run=${run} query=${query} />`}<//>`;
}

function Table({ data, run, query }) {
  if (data.state !== "ready") {
    return html`<div class="state problem"><p class="state-title">The benchmarks of this run cannot be read</p><p>${data.why}</p></div>`;
  }
  const rows = data.benchmarks;
  const shown = rows.find(({ name }) => name === query.benchmark) ?? rows.find(({ status }) => status !== "not run") ?? rows[0];
  return html`
    <${Section} id="benchmarks" title="Published benchmarks" aside=${`for the weights ${digest(data.weights_digest)}`}>
      <${DataTable} caption="Where the run stands with each benchmark" columns=${columns(data)} rows=${rows} rowKey="name" stack="l"
        rowHref=${({ name }) => href("evals", { run, query: { ...query, benchmark: name } })} rowClass=${(row) => row === shown && "selected"} />
      <details class="more"><summary>What the words mean</summary>
        <dl class="pairs">${STATUSES.map(([word, means]) => html`<div key=${word}><dt><${Word} value=${word} /></dt><dd>${means}</dd></div>`)}</dl></details>
    <//>
    ${shown && html`<${One} of=${shown} run=${run} />`}
    <${CrossChecks} rows=${data.cross_checks} />
    <${Section} id="benchmark-commands" title="In a terminal"><${Command} text=${data.commands.show} why="The same table" /><//>`;
}

function columns() {
  return [
    { key: "name", title: "Benchmark", sort: true },
    { key: "status", title: "Status", render: ({ status }) => html`<${Word} value=${status} />`, sort: true },
    { key: "score", title: "Score", align: "right", render: ({ score }) => score && html`<span class="figure">${figure(score)}</span>`, sort: ({ score }) => score?.rate },
    { key: "n", title: "n", align: "right", render: ({ score }) => integer(score?.n) },
    { key: "adjusted", title: "Above chance", align: "right", render: ({ score }) => score && `${percent(score.adjusted)}`, sort: ({ score }) => score?.adjusted },
    { key: "chance", title: "Random baseline", align: "right", render: ({ chance }) => percent(chance) },
    { key: "metric", title: "Metric", render: ({ metric, direction }) => metric && `${metric} (${direction.startsWith("higher") ? "↑" : "↓"})` },
    { key: "shots", title: "Shots", align: "right", render: ({ shots }) => integer(shots.asked ?? shots.table) },
    { key: "published", title: "Published", render: ({ references }) => (references.length === 0 ? null : `${integer(references.length)}, ${integer(references.filter(({ comparable }) => comparable).length)} comparable`) },
  ];
}

function figure({ rate, error }) {
  return `${percent(rate).replace(" %", "")} ± ${percent(error)}`;
}

function One({ of: row, run }) {
  const { score, files, measured_on: measured, threshold } = row;
  return html`<${Section} id="benchmark" title=${row.name} aside=${html`<${Word} value=${row.status} />`}>
    ${row.why && html`<p>${row.why}</p>`}
    <${Facts} items=${[
      ["Score", score && figure(score), score && interval(score.interval)],
      ["Above chance", score && percent(score.adjusted), score && interval(score.adjusted_interval)],
      ["Items", score && integer(score.n), row.items_published === null ? "size not published" : `of ${integer(row.items_published)} published`],
      ["Metric", row.metric, row.direction],
      ["Shots", integer(row.shots.asked ?? row.shots.table), row.shots.asked !== null && row.shots.asked !== row.shots.table ? `the table asks with ${integer(row.shots.table)}` : null],
      ["Random baseline", percent(row.chance)],
      ["A release needs", threshold ? `${percent(threshold.adjusted)} above chance` : "nothing: shown, not judged", threshold && `on ${integer(threshold.minimum_n)} items or more`],
      ["Version", files && digest(files.digest), files && `${integer(files.count)} files, ${files.registered ? "the published ones" : "unregistered: nobody has compared them with the published ones"}`],
      ["Measured", measured && time(measured.finished_at), measured && `weights ${digest(measured.weights_digest)}${measured.harness ? `, by ${measured.harness}` : ""}`],
    ]} />
    ${row.prompt && html`<p class="small muted">Asked as ${row.prompt}</p>`}
    ${score && html`<p><a href=${href("evals", { run, query: { tab: "rows", set: `benchmark:${row.name}`, filter: "fail" } })}>Items that fail</a></p>`}
    ${row.references.length > 0 && html`<${References} rows=${row.references} name=${row.name} />`}
    <${Command} text=${row.command} why=${row.status === "not run" ? "Run it: files are read from this machine, nothing is downloaded" : "Run it again"} />
  <//>`;
}

function References({ rows, name }) {
  const columns = [
    { key: "model", title: "Published" },
    { key: "value", title: "Score", align: "right", render: ({ value, value_high: high }) => `${number(value)}${high === null ? "" : ` to ${number(high)}`}`, sort: true },
    { key: "same_setup", title: "Same set-up?", render: ({ same_setup: same }) => (same ? "yes" : "no") },
    { key: "comparable", title: "With this score", render: ({ comparable }) => (comparable === null ? "no score yet" : comparable ? "comparable" : "not comparable") },
    { key: "tokens", title: "Tokens", align: "right", render: ({ tokens }) => count(tokens) },
    { key: "shots", title: "Shots" }, { key: "metric", title: "Metric" }, { key: "harness", title: "Harness" }, { key: "source", title: "Source" },
  ];
  return html`<h3 class="grid-title">Published results</h3><${DataTable} caption=${`Published results on ${name}`} columns=${columns} rows=${rows} rowKey="model" stack="l" />`;
}

function CrossChecks({ rows }) {
  const columns = [
    { key: "name", title: "Task" },
    { key: "agrees", title: "Both agree", render: ({ agrees, stale }) => (stale ? html`<${Word} value="stale" />` : agrees === null ? html`<${Word} value="broken" />` : html`<${Word} value=${agrees ? "pass" : "fail"} />`) },
    { key: "items", title: "Items", align: "right", render: ({ items }) => integer(items) },
    { key: "max_difference", title: "Largest difference", align: "right", render: ({ max_difference: most, tolerance }) => `${number(most)} of ${number(tolerance)} nats` },
    { key: "version", title: "lm-eval" },
    { key: "problem", title: "Problem", render: ({ problem, problems, differing }) => [problem, ...(problems ?? []), ...differing].filter(Boolean).join(", ") },
    { key: "command", title: "Command", render: ({ command }) => html`<${Command} text=${command} />` },
  ];
  if (rows.length === 0) return null;
  return html`<${Section} id="cross-checks" title="Cross-checks with lm-eval" aside="the same weights and rows, scored by another program">
    <${DataTable} caption="Cross-checks" columns=${columns} rows=${rows} rowKey="name" stack="l" /><//>`;
}
