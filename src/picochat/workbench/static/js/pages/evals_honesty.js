// Honesty: what stands in the training text, with both passages; what is known by heart; faulty replies.
import { integer, number, percent } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { href, setQuery } from "../router.js";
import { Command } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Partial, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Rate, Source, Text, interval } from "./evals_text.js";

const LIMIT = 20;
const SIDES = [["all", "all items"], ["clean", "clean"], ["dirty", "in the training text"], ["uncheckable", "uncheckable"]];

export function Honesty({ run, query }) {
  const cursors = (query.pages ?? "").split(".").filter(Boolean);
  const params = { set: query.set, against: query.text, cursor: cursors.at(-1), limit: LIMIT };
  const found = useResource(`api/runs/${run}/honesty`, { params, run, kinds: ["reports"] });
  return html`<${Resource} of=${found} lines=${8}>${(data) => html`
    <${Section} id="contamination" title="Contamination" aside="what the model is judged on, looked for in what it was trained on">
      <${Source} of=${data.contamination.source} what="Nothing was looked for in the training text" todo="The search is a stage of every run; until it is done nobody knows.">
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
  const cells = found.columns.map((key) => ({
    key, title: key, align: "right", render: (cell) => integer(cell[key]), sort: true,
  }));
  const columns = [
    { key: "set", title: "Judged on", sort: true }, { key: "against", title: "Looked for in", sort: true },
    { key: "items", title: "Items", align: "right", render: ({ items }) => integer(items), sort: true },
    ...cells,
    { key: "dirty", title: "Items found", align: "right", sort: true, render: (cell) => html`<span class=${cell.dirty > 0 ? "found" : null}>${integer(cell.dirty)}</span>` },
    { key: "passages", title: "Passages", render: (cell) => cell.hits > 0 && html`<a href=${href("evals", { run, query: { ...query, set: cell.set, text: cell.against, pages: null } })}
      aria-label=${`passages of ${cell.set} in ${cell.against}`}>show ${integer(cell.hits)}</a>` },
  ];
  const { totals } = found;
  return html`<p>${integer(totals.items)} items: ${integer(totals.clean)} clean, ${integer(totals.dirty)} found in the training text,
      ${" "}${integer(totals.uncheckable)} too short to be checked (never counted as clean).</p>
    <${DataTable} caption="Contamination: sets against training texts" columns=${columns} rows=${found.matrix}
      rowKey=${({ set, against }) => `${set} in ${against}`} stack="l" empty="nothing was compared" />
    ${found.not_scanned.map(({ set, reason }) => html`<${Partial} key=${set} what=${`${set} was not looked for`} why=${reason} />`)}
    <${Sets} of=${found} />`;
}

function Sets({ of: found }) {
  const scores = found.sets.flatMap(({ name, scores: sides }) => Object.entries(sides).map(([label, rates]) => (
    { key: `${name}/${label}`, name, label, rates })));
  const columns = [
    { key: "name", title: "Set" }, { key: "label", title: "Rows" },
    ...SIDES.map(([side, title]) => ({ key: side, title, render: ({ rates }) => html`<${Rate} of=${rates[side]} />` })),
  ];
  const phrases = found.sets.flatMap(({ name, boilerplate }) => boilerplate.map((phrase) => ({ ...phrase, name })));
  const spans = found.sets.flatMap(({ name, spans: shares }) => shares.map((share) => ({ ...share, name })));
  return html`
    ${scores.length > 0 && html`<details class="more"><summary>Scores without what was found (${integer(scores.length)})</summary>
      <${DataTable} caption="Scores on all, clean and dirty items" columns=${columns} rows=${scores} stack="l" /></details>`}
    ${spans.length > 0 && html`<details class="more"><summary>Spans of held-out documents that the training text has too</summary>
      <${DataTable} caption="Shares of spans" stack="s" rows=${spans} rowKey=${(_, at) => `span-${at}`} columns=${[
        { key: "name", title: "Set" }, { key: "against", title: "In" },
        { key: "words", title: "Words", align: "right" }, { key: "rate", title: "Share", align: "right", render: ({ rate }) => percent(rate) },
        { key: "n", title: "Spans", align: "right", render: ({ n }) => integer(n) }]} /></details>`}
    ${phrases.length > 0 && html`<details class="more"><summary>Phrases of many items, left out of the search (${integer(phrases.length)})</summary>
      <${DataTable} caption="Boilerplate" stack="s" rows=${phrases} rowKey=${(_, at) => `phrase-${at}`} columns=${[
        { key: "name", title: "Set" }, { key: "text", title: "Phrase", render: ({ text }) => html`<${Text} value=${text} />` },
        { key: "items", title: "Items", align: "right", render: ({ items }) => integer(items) }]} /></details>`}`;
}

function Hits({ of: found, query, cursors }) {
  if (found.stored === 0) return null;
  const chosen = query.set && query.text;
  return html`<h3 class="grid-title" id="passages">${chosen ? `Passages of ${query.set} in ${query.text}` : "All passages"}</h3>
    ${chosen && html`<p><button type="button" onClick=${() => setQuery({ set: null, text: null, pages: null })}>Show all passages</button></p>`}
    ${found.torn && html`<${Partial} what="the list of hits is unfinished" why="a crash left it" />`}
    <ol class="hits">${found.rows.map((hit) => html`<${Hit} key=${hit.place} of=${hit} />`)}</ol>
    ${found.rows.length === 0 && html`<p>no passage is stored for this pair</p>`}
    <div class="buttons pager">
      ${cursors.length > 0 && html`<button type="button" onClick=${() => setQuery({ pages: cursors.slice(0, -1).join(".") || null }, { replace: false })}>Previous page</button>`}
      ${found.next !== null && html`<button type="button" onClick=${() => setQuery({ pages: [...cursors, found.next].join(".") }, { replace: false })}>Next ${LIMIT}</button>`}
    </div>`;
}

function Hit({ of: hit }) {
  const words = `${hit.column} by ${hit.rule.replaceAll("_", " ")}${hit.equal_words === null ? "" : `, ${integer(hit.equal_words)} equal`}${
    hit.share === null ? "" : `, ${percent(hit.share)} of its grams`}${hit.value ? `, ${hit.value}` : ""}`;
  return html`<li class="hit">
    <p><b class="run-text" dir="auto">${hit.item}</b> <span class="small muted">${hit.set} in ${hit.against} · ${words}</span></p>
    <div class="beside">
      <figure><figcaption>${hit.set}, ${where(hit.item_passage)}</figcaption><div class="turn"><${Text} value=${hit.item_passage.text} /></div></figure>
      <div>${hit.places.map((place, at) => html`<figure key=${at}><figcaption>${hit.against}, number ${integer(place.number)}, ${where(place)}</figcaption>
        <div class="turn"><${Text} value=${place.text} /></div></figure>`)}</div>
    </div>
  </li>`;
}

function where({ start, end }) {
  return start === null ? "place not known" : `characters ${integer(start)} to ${integer(end)}`;
}

function Memorisation({ of: found, command }) {
  const { settings, models } = found;
  const copies = [...new Set(models.flatMap(({ canaries }) => canaries.by_copies.map((entry) => entry.copies)))].sort((a, b) => a - b);
  const bits = (model, wanted) => model.canaries.by_copies.find((entry) => entry.copies === wanted);
  const columns = [
    { key: "name", title: "Model" },
    ...[["train", "Continued exactly, train"], ["val", "Continued exactly, held out"]].map(([side, title]) => (
      { key: side, title, render: ({ extractable }) => html`<${Rate} of=${extractable[side]} />` })),
    { key: "difference", title: "Difference", render: ({ extractable }) => spread(extractable, percent, interval) },
    ...copies.map((wanted) => ({
      key: `copies-${wanted}`, title: `Canaries, ${wanted} ${wanted === 1 ? "copy" : "copies"}`, align: "right",
      render: (model) => bits(model, wanted) && `${number(bits(model, wanted).mean)} bits (n ${integer(bits(model, wanted).n)})`,
    })),
    { key: "copied", title: "Longest copy in a sample", align: "right", render: ({ copied }) => longest(copied, settings) },
    { key: "gap", title: "Loss, held out less train", render: ({ loss }) => spread(loss, number, (pair) => pair && `${number(pair[0])} – ${number(pair[1])}`) },
  ];
  return html`<${Section} id="memorisation" title="Known by heart" aside="what the model continues word for word">
    <${Source} of=${found.source} what="Memorisation was not measured" command=${command}>
      ${found.scaled && html`<${Partial} what="shorter passages were asked" why="the context has no room for more" />`}
      <p>The first ${integer(settings.prefix_tokens)} tokens of a document are given, the next ${integer(settings.suffix_tokens)} must follow greedily.${" "}
        ${copies.length === 0 ? "No canaries were planted: the pack asks for none." : "Canaries are random facts planted as documents; more bits are better known."}</p>
      <${DataTable} caption="Memorisation by model" columns=${columns} rows=${models} rowKey="name" stack="l" empty="no model was measured" />
    <//>
  <//>`;
}

function spread({ difference, interval: pair }, form, both) {
  return difference === null ? null : html`<span class="figure">${form(difference)}</span> <span class="small muted">${both(pair)}</span>`;
}

function longest({ longest_words: words }, { shortest_copy_words: shortest }) {
  return words === 0 && shortest ? `under ${integer(shortest)} words` : words === null ? null : `${integer(words)} words`;
}

const FAULTS = [
  ["echo", "Repeats the prompt", "echo"], ["repetition", "Repeats itself", "repetition"], ["unfinished", "Unfinished", "unfinished"],
  ["unsupported", "Claims what it cannot know", "unsupported"],
];

function Replies({ of: found, run }) {
  const rows = Object.entries(found.sets).map(([set, rates]) => ({ set, ...rates }));
  const columns = [
    { key: "title", title: "Rows" },
    ...FAULTS.map(([key, title, filter]) => ({
      key, title, render: (row) => row[key] && html`<${Rate} of=${row[key]} /> ${row[key].k > 0 && html`<a href=${href("evals", {
        run, query: { tab: "rows", set: row.set, filter } })} aria-label=${`${title}: rows of ${row.title}`}>rows</a>`}`,
    })),
    { key: "benign", title: "Harmless requests answered", render: ({ benign }) => html`<${Rate} of=${benign} />` },
  ];
  return html`<${Section} id="replies" title="Faulty replies and over-refusal" aside="a harmless request that is not answered is over-refusal">
    <${Source} of=${found.source} what="This run was not evaluated">
      <${DataTable} caption="Faults of replies by set" columns=${columns} rows=${rows} rowKey="set" stack="l" />
    <//>
  <//>`;
}
