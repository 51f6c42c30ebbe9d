// What the models of a run know by heart: passages continued exactly, canaries, copies in samples, the gap of losses.
import { integer, number, percent } from "../format.js";
import { html } from "../html.js";
import { Section } from "../parts/page.js";
import { Partial } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Rate, Source, interval } from "./evals_text.js";

export function Memorisation({ of: found, command }) {
  const { settings, models } = found;
  const copies = [...new Set(models.flatMap(({ canaries }) => canaries.by_copies.map((entry) => entry.copies)))];
  copies.sort((a, b) => a - b);
  return html`<${Section} id="memorisation" title="Known by heart" aside="what the model continues word for word">
    <${Source} of=${found.source} what="Memorisation was not measured" command=${command}>
      ${found.scaled && html`<${Partial} what="shorter passages were asked" why="the context has no room for more" />`}
      <p>The first ${integer(settings.prefix_tokens)} tokens of a document are given, the
        next ${integer(settings.suffix_tokens)} must follow greedily. ${copies.length === 0
        ? "No canaries were planted: the pack asks for none."
        : "Canaries are random facts, planted as documents; the more bits, the better one is known."}</p>
      <${DataTable} caption="Memorisation by model" columns=${columns(copies, settings)} rows=${models} rowKey="name"
        stack="l" empty="no model was measured" />
    <//>
  <//>`;
}

function columns(copies, settings) {
  const exactly = (side) => ({ extractable }) => html`<${Rate} of=${extractable[side]} />`;
  return [
    { key: "name", title: "Model" },
    { key: "train", title: "Continued exactly, train", render: exactly("train") },
    { key: "val", title: "Continued exactly, held out", render: exactly("val") },
    { key: "difference", title: "Difference", render: ({ extractable }) => spread(extractable, percent, interval) },
    ...copies.map((wanted) => ({
      key: `copies-${wanted}`,
      title: `Canaries, ${wanted} ${wanted === 1 ? "copy" : "copies"}`,
      align: "right",
      render: ({ canaries }) => bits(canaries.by_copies.find((entry) => entry.copies === wanted)),
    })),
    {
      key: "copied", title: "Longest copy in a sample", align: "right",
      render: ({ copied }) => longest(copied.longest_words, settings.shortest_copy_words),
    },
    { key: "gap", title: "Loss, held out less train", render: ({ loss }) => spread(loss, number, bounds) },
  ];
}

function bits(found) {
  return found && `${number(found.mean)} bits (n ${integer(found.n)})`;
}

function bounds(pair) {
  return pair ? `${number(pair[0])} – ${number(pair[1])}` : "—";
}

function spread({ difference, interval: pair }, form, both) {
  if (difference === null) return null;
  return html`<span><span class="ev-figure">${form(difference)}</span> <span class="small muted">${both(pair)}</span></span>`;
}

// Shorter copies are not looked for: everybody's sentences share a few words.
function longest(words, shortest) {
  if (words === null) return null;
  return words === 0 && shortest ? `under ${integer(shortest)} words` : `${integer(words)} words`;
}
