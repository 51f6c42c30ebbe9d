// What happened along the axis, as a list in which each row leads to its event.
import { html, useState } from "../html.js";
import { integer, number } from "../format.js";
import { href } from "../router.js";
import { placeText } from "../parts/chart_model.js";
import { DataTable } from "../parts/table.js";
import { Loading } from "../parts/states.js";

const FIRST = 12;
const WORDS = {
  spike: "loss spike", guard_skipped: "step rejected by the guard", checkpoint_saved: "checkpoint", eval: "validation",
  resumed: "resumed", failed: "ended early", warning: "warning", control_ack: "stop asked for",
  stage_started: "stage began", stage_finished: "stage finished",
};

/** The answer of `…/markers` without what the address switches off. */
export function marksOf(data, query) {
  if (!data) return null;
  const drawn = data.markers.filter(({ kind }) => !["stage_started", "stage_finished", "resumed"].includes(kind));
  return { ...data, markers: query.events === "0" ? [] : drawn, references: query.refs === "0" ? [] : data.references };
}

/** The rows; each is a link to its line among the events. */
export function EventList({ run, marks }) {
  const [all, showAll] = useState(false);
  if (!marks) return html`<${Loading} lines=${2} />`;
  const axis = { name: marks.axis, unit: ["wall", "active"].includes(marks.axis) ? "s" : "" };
  const columns = [
    { key: "kind", title: "event", render: ({ kind }) => WORDS[kind] ?? kind },
    { key: "step", title: "step", align: "right", render: ({ step }) => (step === null ? null : integer(step)) },
    ...(marks.axis === "step" ? [] : [{ key: "x", title: marks.axis, align: "right", render: ({ x }) => (x === null ? null : placeText(axis, x)) }]),
    { key: "attempt", title: "attempt", align: "right" },
    { key: "value", title: "value", align: "right", render: ({ value }) => (value === null ? null : number(value)) },
    { key: "text", title: "what it says" },
  ];
  const shown = all ? marks.markers : marks.markers.slice(-FIRST);
  const where = ({ offset }) => href("events", { run, query: { offset } });
  return html`<${DataTable} caption="Events on the axis" columns=${columns} rows=${shown}
      key=${({ kind, step, t }, index) => `${kind} ${step} ${t} ${index}`} rowHref=${where} empty="nothing happened yet" />
    ${marks.markers.length > FIRST && html`<p class="controls"><button type="button" aria-expanded=${all} onClick=${() => showAll(!all)}>
      ${all ? "Show the newest" : `Show all ${integer(marks.markers.length)}`}</button></p>`}
    ${marks.left_out > 0 && html`<p class="note">${integer(marks.left_out)} more are not listed here.</p>`}
    <${References} list=${marks.references} />`;
}

function References({ list }) {
  if (list.length === 0) return null;
  const rows = list.map((line) => ({ ...line, of: line.axis === "x" ? "x axis" : line.keys.join(", ") }));
  const columns = [
    { key: "label", title: "reference line" }, { key: "kind", title: "kind" }, { key: "of", title: "of" },
    { key: "value", title: "value", align: "right", render: ({ value, axis }) => (axis === "x" ? integer(value) : number(value)) },
  ];
  return html`<details class="more"><summary>Reference lines, ${integer(list.length)}</summary>
    <${DataTable} caption="Reference lines" columns=${columns} rows=${rows} key=${({ label, of }) => `${label} ${of}`} /></details>`;
}
