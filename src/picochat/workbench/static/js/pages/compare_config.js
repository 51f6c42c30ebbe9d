// Which settings differ, where each value came from, and how to give them again.
import { integer } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { setQuery } from "../router.js";
import { Command, CopyButton } from "../parts/command.js";
import { Section } from "../parts/page.js";
import { Empty, Partial, Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";

/** One run: its settings against its profile, its parent or another run. */
export function OneConfig({ run, query, all, folder }) {
  const against = query.against ?? "profile";
  const every = query.every === "yes";
  const ready = against !== "run" || Boolean(query.other);
  return html`<div class="controls">
      <label class="inline">Against <select value=${against} onChange=${(event) => setQuery({ against: event.currentTarget.value, other: null })}>
        <option value="profile">its profile</option><option value="parent">its parent</option><option value="run">another run</option>
      </select></label>
      ${against === "run" && html`<label class="inline">Run <select value=${query.other ?? ""}
        onChange=${(event) => setQuery({ other: event.currentTarget.value })}>
        <option value="">choose</option>${all.filter(({ name }) => name !== run).map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}
      </select></label>`}
      <${Every} on=${every} />
    </div>
    ${ready
      ? html`<${Against} key=${`${against} ${query.other}`} run=${run} against=${against} other=${query.other} every=${every} folder=${folder} />`
      : html`<${Empty} what="No other run is chosen" do="Choose the run that this one is set against." />`}`;
}

function Against({ run, against, other, every, folder }) {
  const params = { against, other: against === "run" ? other : null, every: every || null };
  const found = useResource(`api/runs/${run}/config`, { params, run, kinds: ["runs"] });
  const path = folder ? `${folder}/${run}` : run;
  const twin = against === "run" ? `picochat compare ${folder}/${other} ${path} --toml` : `picochat compare ${path} --toml`;
  return html`<${Resource} of=${found} lines=${8}>${(data) => data.state === "ready"
    ? html`<${Differences} found=${data} command=${against === "parent" ? `picochat compare ${folder}/${data.parent} ${path} --toml` : twin} />`
    : html`<${Partial} what="the settings cannot be compared" why=${data.why} />`}<//>`;
}

function Every({ on }) {
  return html`<label class="switch"><input type="checkbox" checked=${on}
    onChange=${(event) => setQuery({ every: event.currentTarget.checked ? "yes" : null })} /> All keys</label>`;
}

/** The table of keys; what differs of the last side is copied as it is given to a command. */
export function Differences({ found, command }) {
  const { sides, total, differing, rows, settings, toml, unset } = found;
  const columns = [
    { key: "key", title: "Key", render: ({ key, differs }) => html`<div><code>${key}</code>${rows.length > differing && differs && html` <b>differs</b>`}</div>` },
    ...sides.map((side, place) => ({
      key: `side-${place}`, title: side, render: ({ values, origins }) => html`<div><code>${values[place] ?? "—"}</code>
        <span class="sub">${origins[place] ?? "unknown"}</span></div>`,
    })),
  ];
  const aside = differing > 0 && html`<${CopyButton} text=${settings} label="Copy as --set" what="Settings copied" />${" "}
    <${CopyButton} text=${toml} label="Copy as TOML" what="TOML copied" />`;
  return html`<${Section} id="config" title=${`Settings: ${integer(differing)} of ${integer(total)} differ`} aside=${aside}>
    ${rows.length > 0
      ? html`<${DataTable} caption="Settings" columns=${columns} rows=${rows} rowKey="key" stack="m" />`
      : html`<p class="muted">All keys are the same.</p>`}
    ${unset.length > 0 && html`<p class="small muted">Not copied, because they have no value on the last side: ${unset.join(", ")}</p>`}
    ${differing > 0 && html`<div class="below"><${Command} text=${command} why=${`What ${sides.at(-1)} has over ${sides[0]}, as a file for --config`} /></div>`}
  <//>`;
}
