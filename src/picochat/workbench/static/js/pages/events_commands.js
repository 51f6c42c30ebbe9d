// Commands that the workbench started for this run: how they ended, what they said.
import { get, post } from "../api.js";
import { age, duration } from "../format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { useResource } from "../live.js";
import { href, setQuery } from "../router.js";
import { session } from "../store.js";
import { Command } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Empty, ProblemBox, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Export } from "./events_export.js";

const ASK_MS = 1000;
const STATES = { running: ["▶", "active"], finished: ["■", "neutral"], lost: ["?", "warn"], unreadable: ["?", "warn"] };

export function Commands({ run, query }) {
  const found = useResource("api/processes", { params: { run }, run, kinds: ["processes"] });
  const columns = [
    { key: "title", title: "Command", render: (row) => html`<div><a href=${href("events", { run, query: { tab: "commands", process: row.id } })}>${row.title || row.id}</a>
      <span class="fact-note path">${row.command}</span></div>` },
    { key: "state", title: "State", render: (row) => html`<${State} ...${row} />` },
    { key: "started_at", title: "Began", render: (row) => row.started_at && age(row.started_at) },
    { key: "duration_s", title: "Took", align: "right", render: (row) => duration(row.duration_s) },
  ];
  return html`<${Section} id="commands" title="Commands of the workbench">
    <${Resource} of=${found}>${({ processes }) => {
      if (processes.length === 0) {
        return html`<${Empty} what="The workbench has started no command for this run" do="Verify and gate are started by their pages; their output appears here." />`;
      }
      const chosen = processes.find((process) => process.id === query.process) ?? processes[0];
      return html`<${DataTable} caption="Commands" columns=${columns} rows=${processes} key="id" stack="m"
          rowClass=${(row) => (row.id === chosen.id ? "selected" : "")} />
        <${Output} key=${chosen.id} process=${chosen} />`;
    }}<//>
  <//>`;
}

function State({ state, exit_code: code, signal }) {
  const [sign, tone] = state === "finished" && (code !== 0) ? ["✕", "block"] : STATES[state] ?? ["–", "neutral"];
  const how = state !== "finished" ? "" : signal ? `, signal ${signal}` : `, exit code ${code}`;
  return html`<span class=${`badge ${tone}`}><span class="sign" aria-hidden="true">${sign}</span>${state}${how}</span>`;
}

function Output({ process }) {
  const [view, set] = useState({ text: "", error: null, more: false });
  const [asked, ask] = useState(null);
  const box = useRef(null);
  useEffect(() => {
    let alive = true;
    let timer = null;
    let offset = 0;
    const read = async () => {
      try {
        const found = await get(`api/processes/${process.id}/output`, { offset }, { keep: false });
        if (!alive) return;
        set((before) => ({ text: before.text + found.text, error: null, more: found.state === "running" }));
        const stuck = found.next_offset === offset;
        offset = found.next_offset;
        if (found.state !== "running" && (stuck || offset >= found.total_bytes)) return;
      } catch (error) {
        if (alive) set((before) => ({ ...before, error }));
      }
      if (alive) timer = setTimeout(read, ASK_MS);
    };
    read();
    return () => {
      alive = false;
      clearTimeout(timer);
    };
  }, [process.id]);
  useLayoutEffect(() => {
    if (view.more) box.current.scrollTop = box.current.scrollHeight;
  }, [view.text]);
  const cancel = () => post(`api/processes/${process.id}/cancel`).then(() => ask("asked to end"), (error) => set((before) => ({ ...before, error })));
  return html`<div class="below">
    <div class="controls"><h3>${process.title || process.id}</h3> <${State} ...${process} />
      ${process.state === "running" && !session.value.readOnly && html`<button type="button" onClick=${cancel}>Cancel</button>`}
      ${asked && html`<span class="muted" role="status">${asked}</span>`}
      <${Export} name=${`${process.id}.txt`} text=${() => view.text} />
      <button type="button" class="copy" onClick=${() => setQuery({ process: null })}>Newest</button></div>
    <${Command} text=${process.command} />
    ${view.error && html`<${ProblemBox} error=${view.error} />`}
    <pre class="log output" ref=${box} tabindex="0" role="region" aria-label="Output">${view.text || "it has said nothing"}</pre>
  </div>`;
}
