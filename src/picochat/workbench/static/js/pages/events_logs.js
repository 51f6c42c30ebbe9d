// Logs of the ranks as text: the end first, back and on by the piece, searched in both directions, followed.
import { bytes, integer } from "../format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { useResource } from "../live.js";
import { setQuery } from "../router.js";
import { announce } from "../store.js";
import { Section } from "../parts/page.js";
import { Empty, Loading, ProblemBox, Resource } from "../parts/states.js";
import { Export } from "./events_export.js";
import { useWindow } from "./events_window.js";

const FOLD = 240;

export function Logs({ run, query }) {
  const logs = useResource(`api/runs/${run}/logs`, { run, kinds: ["logs"] });
  return html`<${Resource} of=${logs}>${({ logs: found }) => {
    if (found.length === 0) return html`<${Empty} what="No rank has written a log" do="A run that has just begun writes its first line within seconds." />`;
    const rank = found.some((entry) => String(entry.rank) === query.rank) ? Number(query.rank) : found[0].rank;
    return html`<${Log} key=${`${rank} ${query.offset ?? ""}`} run=${run} rank=${rank} ranks=${found} query=${query} />`;
  }}<//>`;
}

function Log({ run, rank, ranks, query }) {
  const at = /^\d+$/.test(query.offset ?? "") ? Number(query.offset) : null;
  const [follow, setFollow] = useState(at === null);
  const log = useWindow(`api/runs/${run}/logs`, { params: { rank }, run, list: "lines", kind: "logs", at, follow });
  const [said, say] = useState("");
  const tell = (text) => {
    say(text);
    announce(text);
  };
  const jump = async (where, what, from) => {
    tell("Searching …");
    try {
      let answer = await log.search(where);
      // A search looks at 64 MB a time; it goes on for as long as nothing is found, up to a bound.
      for (let turn = 0; turn < 32 && answer.found === null && answer.searched_to > 0 && answer.searched_to < answer.size; turn += 1) {
        answer = await log.search({ ...where, [from]: answer.searched_to });
      }
      if (answer.found === null) tell(`${what} was not found ${answer.searched_to > 0 && answer.searched_to < answer.size
        ? `up to byte ${integer(answer.searched_to)}` : "in this log"}`);
      else {
        tell(`${what} found at byte ${integer(answer.found)}`);
        setQuery({ offset: answer.found });
      }
    } catch (error) {
      tell(error.detail ?? String(error));
    }
  };
  const find = query.find ?? "";
  const mark = at ?? log.items[0]?.offset ?? 0;
  const size = ranks.find((entry) => entry.rank === rank)?.bytes;
  return html`<${Section} id="log" title=${`Log of rank ${rank}`} aside=${`${bytes(log.size ?? size)}, shown as text`}>
    <form class="controls" role="search" onSubmit=${(event) => {
      event.preventDefault();
      if (find) jump({ find, offset: at === null ? 0 : mark + 1 }, `“${find}”`, "offset");
    }}>
      <label>Rank ${" "}<select value=${String(rank)} onChange=${(event) => setQuery({ rank: event.currentTarget.value, offset: null })}>
        ${ranks.map((entry) => html`<option key=${entry.rank} value=${String(entry.rank)}>${entry.rank} (${bytes(entry.bytes)})</option>`)}
      </select></label>
      <label>Find ${" "}<input type="search" value=${find} maxlength="200" spellcheck="false" autocomplete="off"
        onInput=${(event) => setQuery({ find: event.currentTarget.value || null })} /></label>
      <button type="submit" disabled=${!find}>Next</button>
      <button type="button" disabled=${!find} onClick=${() => jump({ find, before: at === null ? log.size : mark }, `“${find}”`, "before")}>Previous</button>
      <button type="button" onClick=${() => jump({ failure: "first", offset: 0 }, "A failure", "offset")}>First failure</button>
      ${at === null
        ? html`<label class="switch"><input type="checkbox" checked=${follow} onChange=${(event) => setFollow(event.currentTarget.checked)} /> Follow</label>`
        : html`<button type="button" onClick=${() => setQuery({ offset: null })}>To the end</button>`}
      <${Export} name=${`${run}-rank${rank}.txt`} text=${() => log.items.map((line) => line.text).join("\n")} />
    </form>
    <p class="small muted" role="status">${said}</p>
    <${Text} log=${log} follow=${follow} find=${find} at=${at} rank=${rank} />
  <//>`;
}

function Text({ log, follow, find, at, rank }) {
  const box = useRef(null);
  const last = log.items.at(-1)?.offset;
  useLayoutEffect(() => {
    if (follow && at === null && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [last, log.partial?.bytes, follow]);
  if (log.state === null) return log.error ? html`<${ProblemBox} error=${log.error} onRetry=${log.again} />` : html`<${Loading} lines=${10} />`;
  if (log.state === "missing") return html`<${Empty} what=${`Rank ${rank} has no log any more`} />`;
  if (log.state === "unreadable") return html`<${ProblemBox} error=${{ detail: "this log cannot be read", why: log.why }} />`;
  return html`${log.error && html`<${ProblemBox} error=${log.error} onRetry=${log.newer} />`}
    <div class="log" ref=${box} tabindex="0" role="region" aria-label=${`Log of rank ${rank}`}>
      ${log.begin > 0
        ? html`<button type="button" class="copy" disabled=${log.busy} onClick=${log.older}>Earlier lines</button>`
        : html`<span class="muted small">beginning of the log</span>`}
      <ol>${log.items.map((line) => html`<${Line} key=${line.offset} line=${line} find=${find} here=${line.offset === at} />`)}
        ${log.partial && html`<${Line} key="partial" line=${log.partial} find=${find} partial />`}</ol>
      ${log.end < log.size && !log.partial
        ? html`<button type="button" class="copy" disabled=${log.busy} onClick=${log.newer}>Later lines</button>`
        : html`<span class="muted small">end of the log${follow ? ", new lines appear here" : ""}</span>`}
    </div>`;
}

function Line({ line, find, here = false, partial = false }) {
  const [open, setOpen] = useState(false);
  const row = useRef(null);
  useEffect(() => {
    if (here) row.current.scrollIntoView({ block: "center" });
  }, [here]);
  const long = line.text.length > FOLD;
  const text = long && !open ? `${line.text.slice(0, FOLD)}` : line.text;
  return html`<li ref=${row} class=${here ? "here" : null}>
    ${line.begun && html`<span class="muted">… </span>`}${marked(text, find)}${partial && html`<span class="muted"> (not ended yet)</span>`}
    ${long && html` <button type="button" class="copy" aria-expanded=${open} onClick=${() => setOpen(!open)}>${open ? "fold"
      : `${integer(line.text.length - FOLD)} more`}</button>`}
    ${line.cut && (open || !long) && html`<span class="muted"> … ${integer(line.bytes)} bytes in all, the rest is in the file</span>`}
  </li>`;
}

// Every place of the searched word, whatever its case.
function marked(text, find) {
  if (!find) return text;
  const parts = [];
  const [low, word] = [text.toLowerCase(), find.toLowerCase()];
  if (low.length !== text.length) return text;
  let from = 0;
  for (let place = low.indexOf(word); place >= 0; place = low.indexOf(word, from)) {
    parts.push(text.slice(from, place), html`<mark key=${place}>${text.slice(place, place + word.length)}</mark>`);
    from = place + word.length;
  }
  return [...parts, text.slice(from)];
}
