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

const NOT_RUN = "not run";
const STATUSES = [
  [NOT_RUN, "there is no report"],
  ["partial", "computed again from its rows for these weights, on a part of the benchmark"],
  ["stale", "measured on other weights than those that ship now"],
  ["attached", "a report of another run or another program: it proves nothing about these weights"],
  ["broken", "the report does not follow from its rows, or cannot be read"],
  ["verified", "computed again from its rows, for these weights, on the whole benchmark"],
];

export function Benchmarks({ run, query }) {
  const found = useResource(`api/runs/${run}/benchmarks`, { run, kinds: ["reports", "checkpoints"] });
  return html`<${Resource} of=${found} lines=${8}>${(data) => html`
    <${Table} data=${data} run=${run} query=${query} />`}<//>`;
}

function Table({ data, run, query }) {
  if (data.state !== "ready") {
    return html`<div class="state problem"><p class="state-title">The benchmarks of this run cannot be read</p>
      <p>${data.why}</p></div>`;
  }
  const rows = data.benchmarks;
  const asked = rows.find(({ name }) => name === query.benchmark);
  const shown = asked ?? rows.find(({ status }) => status !== NOT_RUN) ?? rows[0];
  return html`
    <${Section} id="benchmarks" title="Published benchmarks" aside=${`for the weights ${digest(data.weights_digest)}`}>
      <${DataTable} caption="Where the run stands with each benchmark" columns=${COLUMNS} rows=${rows} rowKey="name"
        stack="l" rowClass=${(row) => row === shown && "selected"}
        rowHref=${({ name }) => href("evals", { run, query: { ...query, benchmark: name } })} />
      <details class="ev-more"><summary>What the words mean</summary>
        <dl class="pairs">${STATUSES.map(([word, means]) => html`<div key=${word}>
          <dt><${Word} value=${word} /></dt><dd>${means}</dd></div>`)}</dl></details>
    <//>
    ${shown && html`<${One} of=${shown} run=${run} />`}
    <${CrossChecks} rows=${data.cross_checks} />
    <${Section} id="benchmark-commands" title="In a terminal">
      <${Command} text=${data.commands.show} why="The same table" /><//>`;
}

const COLUMNS = [
  { key: "name", title: "Benchmark", sort: true },
  { key: "status", title: "Status", sort: true, render: ({ status }) => html`<${Word} value=${status} />` },
  {
    key: "score", title: "Score", align: "right", sort: ({ score }) => score?.rate,
    render: ({ score }) => score && html`<span class="ev-figure">${figure(score)}</span>`,
  },
  { key: "n", title: "n", align: "right", render: ({ score }) => integer(score?.n) },
  {
    key: "adjusted", title: "Above chance", align: "right", sort: ({ score }) => score?.adjusted,
    render: ({ score }) => percent(score?.adjusted),
  },
  { key: "chance", title: "Random baseline", align: "right", render: ({ chance }) => percent(chance) },
  {
    key: "metric", title: "Metric",
    render: ({ metric, direction }) => metric && `${metric} (${direction.startsWith("higher") ? "↑" : "↓"})`,
  },
  { key: "shots", title: "Shots", align: "right", render: ({ shots }) => shotsOf(shots) },
  { key: "published", title: "Published", render: ({ references }) => published(references) },
];

function figure({ rate, error }) {
  return `${percent(rate).replace(" %", "")} ± ${percent(error)}`;
}

function shotsOf({ asked, table, by_task: each }) {
  return each ? "by task" : integer(asked ?? table);
}

function published(references) {
  if (references.length === 0) return null;
  const comparable = references.filter((entry) => entry.comparable).length;
  return `${integer(references.length)}, ${integer(comparable)} comparable`;
}

function One({ of: row, run }) {
  const { score } = row;
  const fails = href("evals", { run, query: { tab: "rows", set: `benchmark:${row.name}`, filter: "fail" } });
  const why = row.status === NOT_RUN ? "Run it: files are read from this machine, nothing is downloaded" : "Run it again";
  return html`<${Section} id="benchmark" title=${row.name} aside=${html`<${Word} value=${row.status} />`}>
    ${row.why && html`<p>${row.why}</p>`}
    <${Facts} items=${facts(row)} />
    ${row.prompt && html`<p class="small muted">Asked as ${row.prompt}</p>`}
    ${score && html`<p><a href=${fails}>Items that fail</a></p>`}
    ${row.references.length > 0 && html`<${References} rows=${row.references} name=${row.name} />`}
    <${Command} text=${row.command} why=${why} />
  <//>`;
}

function facts({ score, files, measured_on: measured, threshold, shots, metric, direction, chance, ...row }) {
  const other = shots.asked !== null && shots.asked !== shots.table;
  const compared = files?.registered ? "the published ones" : "unregistered: nobody compared them with the published ones";
  const by = measured?.harness ? `, by ${measured.harness}` : "";
  return [
    ["Score", score && figure(score), score && interval(score.interval)],
    ["Above chance", score && percent(score.adjusted), score && interval(score.adjusted_interval)],
    ["Items", score && integer(score.n), row.items_published && `of ${integer(row.items_published)} published`],
    ["Metric", metric, direction],
    ["Shots", shotsOf(shots), other ? `the table asks with ${integer(shots.table)}` : null],
    ["Random baseline", percent(chance)],
    ["A release needs", threshold ? needed(threshold.adjusted) : "nothing: shown, not judged",
      threshold && `on ${integer(threshold.minimum_n)} items or more, and an interval above chance`],
    ["Version", files && digest(files.digest), files && `${integer(files.count)} files, ${compared}`],
    ["Measured", measured && time(measured.finished_at), measured && `weights ${digest(measured.weights_digest)}${by}`],
  ];
}

function needed(adjusted) {
  return adjusted > 0 ? `${percent(adjusted)} above chance` : "more than chance";
}

function References({ rows, name }) {
  const value = ({ value: low, value_high: high }) => `${number(low)}${high === null ? "" : ` to ${number(high)}`}`;
  const beside = { true: "comparable", false: "not comparable", null: "no score yet" };
  const columns = [
    { key: "model", title: "Published" },
    { key: "value", title: "Score", align: "right", render: value, sort: true },
    { key: "same_setup", title: "Same set-up?", render: ({ same_setup: same }) => (same ? "yes" : "no") },
    { key: "comparable", title: "With this score", render: ({ comparable }) => beside[comparable] },
    { key: "tokens", title: "Tokens", align: "right", render: ({ tokens }) => count(tokens) },
    { key: "shots", title: "Shots" },
    { key: "metric", title: "Metric" },
    { key: "harness", title: "Harness" },
    { key: "source", title: "Source" },
  ];
  return html`<h3 class="ev-grid-title">Published results</h3>
    <${DataTable} caption=${`Published results on ${name}`} columns=${columns} rows=${rows} rowKey="model" stack="l" />`;
}

function CrossChecks({ rows }) {
  if (rows.length === 0) return null;
  const word = ({ agrees, stale }) => (stale ? "stale" : { true: "pass", false: "fail", null: "broken" }[agrees]);
  const far = ({ max_difference: most, tolerance }) => `${number(most)} of ${number(tolerance)} nats`;
  const columns = [
    { key: "name", title: "Task" },
    { key: "agrees", title: "Both agree", render: (row) => html`<${Word} value=${word(row)} />` },
    { key: "items", title: "Items", align: "right", render: ({ items }) => integer(items) },
    { key: "max_difference", title: "Largest difference", align: "right", render: far },
    { key: "version", title: "lm-eval" },
    {
      key: "problem", title: "Problem",
      render: ({ problem, problems, differing }) => [problem, ...(problems ?? []), ...differing].filter(Boolean).join(", "),
    },
    { key: "command", title: "Command", render: ({ command }) => html`<${Command} text=${command} />` },
  ];
  return html`<${Section} id="cross-checks" title="Cross-checks with lm-eval"
    aside="the same weights and rows, scored by another program">
    <${DataTable} caption="Cross-checks" columns=${columns} rows=${rows} rowKey="name" stack="l" /><//>`;
}
