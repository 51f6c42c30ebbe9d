// Fit, held-out fit and eval: three numbers side by side with their gaps. They are never added up.
import { bpb, integer, number, percent } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { href } from "../router.js";
import { Command } from "../parts/command.js";
import { Facts, Section } from "../parts/page.js";
import { Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Bar, Rate, Source, interval } from "./evals_text.js";

const SETS = ["fit", "heldout", "eval"];

export function Fit({ run }) {
  const found = useResource(`api/runs/${run}/fit`, { run, kinds: ["reports", "checkpoints"] });
  return html`<${Resource} of=${found}>${(data) => html`
    <${Source} of=${data.source} what="This run was not evaluated" command=${data.commands.measure}
      todo="The evaluation comes after the fine-tuning; it can be done again at any time.">
      <${Section} id="fit" title="Three facts, none of them the sum of another" aside="mean over skills, 95 % interval">
        <div class="ev-three">${SETS.map((name, place) => html`<${Figure} key=${name} series=${place} of=${data.sets[name]}
          gap=${data.gaps[place]} titles=${data.sets} />`)}</div>
      <//>
      <${Section} id="skills" title="By skill" aside="rate of n rows, Wilson 95 % interval">
        <${Skills} data=${data} />
        <${Levels} data=${data} />
      <//>
    <//>
    <${Training} of=${data.training} run=${run} />
    <${Section} id="fit-commands" title="In a terminal">
      <${Command} text=${data.commands.show} why="The same table" />
      <${Command} text=${data.commands.measure} why="Answer all rows again and write the summary anew" />
    <//>`}<//>`;
}

function Figure({ series, of: found, gap, titles }) {
  const mean = found.mean_skill;
  const shown = mean ? interval(mean.interval) : found.asked ? "no rows" : "not asked";
  return html`<div class="ev-figure-card">
    <h3>${found.title}</h3>
    <p class="ev-big">${percent(mean?.rate)}</p>
    ${mean && html`<${Bar} of=${mean} series=${series} />`}
    <p class="small">${shown} · n ${integer(found.n)}</p>
    <p class="small muted">${found.means}</p>
    ${gap && html`<p class="ev-gap"><b>${points(gap.points)}</b> from ${titles[gap.from].title} to ${titles[gap.to].title}
      <span class="fact-note">${apart(gap.apart)}</span></p>`}
  </div>`;
}

// The step from one set to the next, in points of a hundred: a minus says that the next one is lower.
function points(value) {
  if (value === null) return "—";
  const size = percent(Math.abs(value)).replace(" %", "");
  return `${size === "0.0" ? "" : value < 0 ? "+" : "−"}${size} points`;
}

function apart(value) {
  return value === null ? "not known" : value ? "the intervals do not touch" : "the intervals overlap";
}

function Skills({ data }) {
  const bar = (name, series) => ({ sets }) => sets[name] && html`<span class="ev-bar-cell">
    <${Bar} of=${sets[name]} series=${series} /><${Rate} of=${sets[name]} /></span>`;
  const columns = [
    { key: "category", title: "Skill" },
    ...SETS.map((name, place) => (
      { key: name, title: data.sets[name].title, render: bar(name, place), sort: ({ sets }) => sets[name]?.rate })),
    ...data.gaps.map(({ from, to }, place) => ({
      key: `gap-${from}`,
      title: `${data.sets[from].title} to ${data.sets[to].title}`,
      align: "right",
      render: ({ gaps }) => points(gaps[place].points),
      sort: ({ gaps }) => gaps[place].points,
    })),
  ];
  return html`<${DataTable} caption="Rates by skill on the three sets" columns=${columns} rows=${data.categories}
    rowKey="category" stack="l" empty="the report holds no skill" />`;
}

function Levels({ data }) {
  const rows = SETS.flatMap((name) => data.categories.flatMap(({ category, sets }) =>
    Object.entries(sets[name]?.levels ?? {}).map(([level, rate]) => (
      { key: `${name}/${category}/${level}`, set: data.sets[name].title, category, level, rate }))));
  if (rows.length === 0) return null;
  const columns = [
    { key: "set", title: "Rows", sort: true },
    { key: "category", title: "Skill", sort: true },
    { key: "level", title: "Level", sort: true },
    { key: "rate", title: "Rate", sort: ({ rate }) => rate?.rate, render: ({ rate }) => html`<${Rate} of=${rate} />` },
  ];
  return html`<details class="ev-more"><summary>Levels of difficulty (${integer(rows.length)})</summary>
    <${DataTable} caption="Rates by level" columns=${columns} rows=${rows} stack="s" /></details>`;
}

function Training({ of: found, run }) {
  const { validation, forgetting } = found;
  const error = validation.loss_se === null ? "" : ` ± ${number(validation.loss_se)}`;
  return html`<${Section} id="sft-losses" title="Losses of the fine-tuning"
    aside=${html`<a href=${href("curves", { run, query: { stage: "sft" } })}>Curves</a>`}>
    <${Source} of=${found.source} what="There is no fine-tuning yet">
      <${Facts} items=${[
        ["Train loss, first to last", `${number(found.first_loss)} to ${number(found.final_loss)}`],
        ["Validation loss on text", `${number(validation.loss)}${error}`],
        ["Bits per byte of text, before", bpb(forgetting.before_bpb)],
        ["Bits per byte of text, after", bpb(forgetting.after_bpb), "what fine-tuning cost of the base model's text"],
        ["Steps", `${integer(found.steps)} of ${integer(found.planned_steps)}`],
        ["Conversations", integer(found.conversations), `${number(found.epochs)} epochs`],
      ]} />
    <//>
  <//>`;
}
