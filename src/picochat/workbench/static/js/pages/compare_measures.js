// What was measured, how much it differs, and the rows that one run passes and another does not.
import { UNKNOWN, bpb, integer, number, percent } from "../format.js";
import { html } from "../html.js";
import { setQuery } from "../router.js";
import { Section } from "../parts/page.js";
import { Partial } from "../parts/states.js";
import { DataTable } from "../parts/table.js";

const TITLES = {
  "base.best_bpb": "Base, best BPB",
  "base.last_bpb": "Base, last BPB",
  "base.last_loss": "Base, last loss",
  "sft.best_bpb": "After SFT, best BPB",
  "sft.last_bpb": "After SFT, last BPB",
  "sft.last_loss": "After SFT, last loss",
  "eval.mean_skill": "Eval, mean of the skills",
  "heldout.mean_skill": "Held-out fit, mean of the skills",
  "fit.mean_skill": "Fit, mean of the skills",
};
const SETS = { eval: "eval", heldout: "held-out fit" };

function words(unit) {
  return { fraction: percent, "bits a byte": bpb }[unit] ?? number;
}

function signed(unit, value) {
  const text = words(unit)(Math.abs(value));
  return `${value < 0 ? "−" : "+"}${text}`;
}

/** `+0.012`, and below it the interval. */
function Delta({ delta, unit }) {
  if (!delta) return UNKNOWN;
  const { difference, interval } = delta;
  return html`<div>${signed(unit, difference)}${interval && html`<span class="sub">${interval.map((end) => signed(unit, end)).join(" to ")}</span>`}</div>`;
}

function Value({ value, interval, unit }) {
  if (value === null) return UNKNOWN;
  return html`<div>${words(unit)(value)}${interval && html`<span class="sub">${interval.map(words(unit)).join(" to ")}</span>`}</div>`;
}

/** A row a measure: each run's value, and its difference to the first one. */
export function Measures({ measures, labels }) {
  const columns = [
    { key: "name", title: "Measured", render: ({ name, unit, direction }) => html`<div>${TITLES[name] ?? name}<span
      class="sub">${unit}, ${direction === "<" ? "less" : "more"} is better</span></div>` },
    ...labels.map((label, place) => ({
      key: label, title: label, align: "right",
      render: (row) => html`<${Value} value=${row.values[place]} interval=${row.intervals[place]} unit=${row.unit} />`,
    })),
    ...labels.slice(1).map((label, place) => ({
      key: `${label}-delta`, title: `${label} − ${labels[0]}`, align: "right",
      render: (row) => html`<${Delta} delta=${row.deltas[place + 1]} unit=${row.unit} />`,
    })),
  ];
  return html`<${Section} id="measures" title="Measured" aside="intervals at 95 %">
    <${DataTable} caption="Losses and rates" columns=${columns} rows=${measures} rowKey="name" stack="m"
      empty="Nothing is measured yet." />
  <//>`;
}

/** Pairs with the first run: skills, then the rows that flipped. */
export function Flipped({ pairs, runs, query }) {
  const name = pairs[query.set] ? query.set : "eval";
  const { problem, against } = pairs[name];
  const at = Math.max(0, against.findIndex(({ second }) => second === query.with));
  const set = (key) => (event) => setQuery({ [key]: event.currentTarget.value });
  const nameOf = (label) => runs.find((run) => run.label === label)?.name;
  return html`<${Section} id="flipped" title="Rows that flipped">
    <div class="controls">
      <label class="inline">Rows of <select value=${name} onChange=${set("set")}>
        ${Object.entries(SETS).map(([key, title]) => html`<option key=${key} value=${key}>${title}</option>`)}</select></label>
      ${against.length > 1 && html`<label class="inline">${runs[0].label} beside <select value=${against[at].second} onChange=${set("with")}>
        ${against.map(({ second }) => html`<option key=${second} value=${second}>${second} ${nameOf(second)}</option>`)}</select></label>`}
    </div>
    ${problem ? html`<${Partial} what="these rows are not compared" why=${problem} />` : html`<${Pair} pair=${against[at]} />`}
  <//>`;
}

function Pair({ pair }) {
  const { first, second, skills, discordant, discordant_rows: all } = pair;
  const skillColumns = [
    { key: "skill", title: "Skill" },
    ...[["n", "n"], ["both", "both pass"], ["only_first", `${first} alone`], ["only_second", `${second} alone`]].map(([key, title]) => (
      { key, title, align: "right", render: (row) => integer(row[key]) })),
    { key: "difference", title: `${second} − ${first}`, align: "right",
      render: ({ difference, interval }) => html`<${Delta} delta=${{ difference, interval }} unit="fraction" />` },
    { key: "p_holm", title: "p (Holm)", align: "right", render: (row) => number(row.p_holm) },
    { key: "verdict", title: "Told apart" },
  ];
  const rowColumns = [
    { key: "id", title: "Row", render: ({ id, skill }) => html`<div><code>${id}</code><span class="sub">${skill}</span></div>` },
    { key: "prompt", title: "Question", render: Text("prompt") },
    { key: "expected", title: "Expected", render: ({ expected }) => expected.join(" | ") },
    { key: "passed_by", title: "Passed by" },
    ...[first, second].map((label) => ({ key: `reply-${label}`, title: `Reply of ${label}`,
      render: ({ replies }) => html`<span class="reply">${replies[label]}</span>` })),
  ];
  return html`<${DataTable} caption="Skills" columns=${skillColumns} rows=${skills} rowKey="skill" stack="m" />
    <h3 class="below">${all === 0 ? "No row flipped" : `${integer(discordant.length)} of ${integer(all)} rows that flipped`}</h3>
    ${all > 0 && html`<${DataTable} caption="Rows that flipped" columns=${rowColumns} rows=${discordant} rowKey="id" stack="l" />`}`;
}

const Text = (key) => (row) => html`<span class="reply">${row[key]}</span>`;
