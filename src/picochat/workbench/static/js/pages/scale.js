// From this machine to rented ones: what it takes here, on one GPU, on eight; plans, and the way to a paid start.
import { age, integer, money } from "../format.js";
import { html } from "../html.js";
import { useResource } from "../live.js";
import { href, setQuery } from "../router.js";
import { Command } from "../parts/command.js";
import { PageHead, Section } from "../parts/page.js";
import { Resource } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { PlanForm } from "./scale_form.js";
import { OnePlan } from "./scale_plan.js";

const CARD = "h100-sxm";
const PLANS = [
  { key: "name", title: "Plan", render: (plan) => plan.name ?? plan.digest.slice(0, 12) },
  { key: "where", title: "Where", render: ({ where, target }) => where && `${where}, ${target}` },
  { key: "estimate_usd", title: "Estimate", align: "right", render: (plan) => plan.estimate_usd && money(plan.estimate_usd) },
  { key: "cap_usd", title: "Cap", align: "right", render: (plan) => plan.cap_usd && money(plan.cap_usd) },
  { key: "state", title: "State", render: ({ state, why }) => html`${state}${why && html`: ${why}`}` },
  { key: "created_at", title: "Made", render: ({ created_at: at }) => at && age(at) },
  { key: "dry_run_of", title: "Dry run of", render: ({ dry_run_of: of }) => of && html`<code>${of.slice(0, 12)}</code>` },
];

export default function Page({ query }) {
  if (query.plan) {
    return html`<${PageHead} title="Launch plan" aside=${html`<a href=${href("scale", { query: { ...query, plan: null } })}
      >All plans</a>`}>Only a start spends money, and only after its cap was typed.<//>
      <${OnePlan} key=${query.plan} digest=${query.plan} />`;
  }
  return html`<${PageHead} title="Scale up">The same recipe on more hardware. Nothing on this page spends money.<//>
    <${Commands} query=${query} />
    <${Plans} query=${query} />`;
}

function Commands({ query }) {
  const run = query.run ?? null;
  const card = query.card ?? CARD;
  const runs = useResource("api/runs", { kinds: ["runs"] });
  const scale = useResource("api/scale", { params: run ? { run, card } : { profile: query.profile ?? null, card },
    kinds: ["plans"] });
  return html`<${Resource} of=${scale} lines=${8}>${(found) => html`
    <div class="controls">
      <label class="field inline">Run<select value=${run ?? ""} onChange=${({ currentTarget }) => setQuery({
        run: currentTarget.value || null })}>
        <option value="">none yet: a profile</option>
        ${(runs.data?.runs ?? []).map(({ name }) => html`<option key=${name} value=${name}>${name}</option>`)}</select></label>
      ${!run && html`<label class="field inline">Profile<select value=${found.profile} onChange=${({ currentTarget }) => setQuery({
        profile: currentTarget.value })}>
        ${found.profiles.map(({ name, title }) => html`<option key=${name} value=${name}>${name}: ${title}</option>`)}
        </select></label>`}
    </div>
    <${Section} id="places" title="Here, on one GPU, on eight">
      ${run ? html`<${JudgedPlaces} run=${run} places=${found.places} />`
        : html`<${Places} places=${found.places} targets=${null} />`}
    <//>
    <${Section} id="make" title="A plan for rented GPUs">
      ${run ? html`<${PlanForm} run=${run} card=${found.card} cards=${found.cards} ceiling=${found.max_cap_usd}
          onCard=${(name) => setQuery({ card: name })} />`
        : html`<p class="muted">Choose a run whose data is built: what travels is decided here, by digest, before anything
          is paid for.</p><${Command} text=${`picochat run ${found.profile} --preflight-only --out-dir runs/mine`}
          why="Builds and judges the data here, and trains nothing." />`}
    <//>`}<//>`;
}

// One verdict a place, as `picochat launch ready` gives it; the gate page shows the rows behind it.
function JudgedPlaces({ run, places }) {
  const ready = useResource(`api/runs/${encodeURIComponent(run)}/readiness`, {
    run, kinds: ["reports", "gate", "status", "plans"] });
  return html`<${Places} run=${run} places=${places} targets=${ready.data?.targets ?? null} />`;
}

function Places({ run = null, places, targets }) {
  return html`<div class="places">${places.map((place) => html`<${Place} key=${place.where} place=${place} run=${run}
    target=${targets?.find(({ name }) => name === place.where) ?? null} />`)}</div>`;
}

function Readiness({ target, run }) {
  const good = target.ready === "ready";
  const lacking = target.missing.length === 1 ? target.missing[0] : `${integer(target.missing.length)} checks`;
  return html`<p class="ready"><span class=${`badge ${good ? "pass" : "block"}`}><span class="sign" aria-hidden="true">${
    good ? "✓" : "✕"}</span>${good ? "ready" : "not ready"}</span>${!good && html` ${lacking} missing: `}${!good
      && html`<a href=${href("gate", { run, query: { tab: "readiness" } })}>what it lacks on ${target.title}</a>`}</p>`;
}

function Place({ place, run, target }) {
  return html`<article class="place" data-place=${place.where}>
    <h3>${place.title}</h3>
    ${target && html`<${Readiness} target=${target} run=${run} />`}
    <${Command} text=${place.plan} why="What it will need: memory, hours, disk." />
    ${place.preflight && html`<${Command} text=${place.preflight} why="Judge it for that machine." />`}
    <${Command} text=${place.start} why=${place.gpus > 1 ? "On that machine, one process a GPU." : "Start it there."} />
  </article>`;
}

function Plans({ query }) {
  const plans = useResource("api/plans", { kinds: ["plans"] });
  return html`<${Section} id="plans" title="Plans">
    <${Resource} of=${plans}>${({ plans: rows }) => html`<${DataTable} caption="Launch plans" columns=${PLANS} rows=${rows}
      key="digest" rowHref=${({ digest }) => href("scale", { query: { ...query, plan: digest } })} stack="l"
      empty="no plan was made yet" />`}<//>
    <${Command} text="picochat launch plan" why="Lists the same plans." />
  <//>`;
}
