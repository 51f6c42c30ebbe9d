// Passages of items that stand in a training text, each beside where it stands there.
import { integer, percent } from "../format.js";
import { html } from "../html.js";
import { setQuery } from "../router.js";
import { Partial } from "../parts/states.js";
import { Text } from "./evals_text.js";

/** Passages of a page. */
export const LIMIT = 8;

export function Hits({ of: found, query, cursors }) {
  if (found.state === "unreadable") return html`<${Partial} what=${`${found.artifact} cannot be read`} why=${found.why} />`;
  if (found.stored === 0) return null;
  const chosen = query.set && query.text;
  const turn = (pages) => setQuery({ pages: pages.join(".") || null }, { replace: false });
  return html`<h3 class="ev-grid-title" id="passages">${chosen ? `Passages of ${query.set} in ${query.text}` : "All passages"}</h3>
    ${chosen && html`<p><button type="button" onClick=${() => setQuery({ set: null, text: null, pages: null })}>
      Show all passages</button></p>`}
    ${found.torn && html`<${Partial} what="the list of hits is unfinished" why="a crash left it" />`}
    <ol class="ev-hits">${found.rows.map((hit) => html`<${Hit} key=${hit.place} of=${hit} />`)}</ol>
    ${found.rows.length === 0 && html`<p>No passage is stored for this pair.</p>`}
    <div class="buttons ev-pager">
      ${cursors.length > 0 && html`<button type="button" onClick=${() => turn(cursors.slice(0, -1))}>Previous page</button>`}
      ${found.next !== null && html`<button type="button" onClick=${() => turn([...cursors, found.next])}>Next ${LIMIT}</button>`}
    </div>`;
}

function Hit({ of: hit }) {
  const words = [
    `${hit.column} by ${hit.rule.replaceAll("_", " ")}`,
    hit.equal_words !== null && `${integer(hit.equal_words)} equal`,
    hit.share !== null && `${percent(hit.share)} of its grams`,
    hit.value,
  ].filter(Boolean).join(", ");
  return html`<li class="ev-hit">
    <p><b class="ev-run-text" dir="auto">${hit.item}</b> <span class="small muted">${hit.set} in ${hit.against} · ${words}</span></p>
    <div class="ev-beside">
      <${Passage} title=${hit.set} of=${hit.item_passage} />
      <div>${hit.places.map((place, at) => html`<${Passage} key=${at} title=${`${hit.against}, number ${integer(place.number)}`}
        of=${place} />`)}</div>
    </div>
  </li>`;
}

function Passage({ title, of: { start, end, text } }) {
  const where = start === null ? "place not known" : `characters ${integer(start)} to ${integer(end)}`;
  return html`<figure><figcaption>${title}, ${where}</figcaption><div class="ev-turn"><${Text} value=${text} /></div></figure>`;
}
