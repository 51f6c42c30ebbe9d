// The frame around each page: skip link, top bar, the head of a run, and where things are said politely.
import { html, useEffect, useState } from "./html.js";
import { startKeys } from "./keys.js";
import { useResource } from "./live.js";
import { href, route } from "./router.js";
import { lastRun, said, session, theme } from "./store.js";
import { connection, paused, togglePause } from "./stream.js";
import { Help } from "./help.js";
import { Tabs } from "./parts/page.js";
import { RunState, Verdict } from "./parts/verdict.js";

const NAV = [["runs", "Runs"], ["compare", "Compare"], ["play", "Play"], ["scale", "Scale"], ["system", "System"]];
const RUN_TABS = ["overview", "curves", "gate", "data", "evals", "artifacts", "events"];
const THEMES = { system: ["◐", "dark"], dark: ["●", "light"], light: ["○", "system"] };
const CONNECTIONS = {
  connecting: ["◌", "connecting", "neutral"],
  live: ["●", "live", "active"],
  polling: ["◍", "polling", "warn"],
  offline: ["✕", "offline", "block"],
  paused: ["‖", "paused", "warn"],
  asleep: ["◌", "asleep", "neutral"],
};

/** Top bar, page, help. */
export function Shell({ children }) {
  const [helping, help] = useState(false);
  useEffect(() => startKeys(() => help(true)), []);
  const { page, run } = route.value;
  useEffect(() => {
    if (run !== null) lastRun.value = run;
  }, [run]);
  return html`<${Skip} />
    <header class="bar">
      <a class="product" href=${href("runs")}>Picochat</a>
      <nav aria-label="Workbench"><ul>${NAV.map(([key, title]) => html`<li key=${key}>
        <a href=${href(key)} aria-current=${current(key, page, run)}>${title}</a>
      </li>`)}</ul></nav>
      <div class="bar-end">
        ${session.value.readOnly && html`<span class="badge neutral"><span class="sign" aria-hidden="true">⊘</span>read-only</span>`}
        <${Connection} />
        <${ThemeSwitch} />
        <button type="button" class="quiet" aria-haspopup="dialog" onClick=${() => help(true)}>
          <span aria-hidden="true">?</span><span class="unseen">Help and shortcuts</span></button>
      </div>
    </header>
    ${run !== null && html`<${RunHead} key=${run} run=${run} page=${page} />`}
    <main id="main" tabindex="-1">${children}</main>
    <${Help} open=${helping} onClose=${() => help(false)} />
    <${Said} />`;
}

function current(key, page, run) {
  if (key === "runs" && run !== null) return "true";
  return key === page ? "page" : null;
}

// A link, so that it is found as one; the address stays the view's.
function Skip() {
  const onClick = (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  };
  return html`<a class="skip" href="#main" onClick=${onClick}>Skip to the page</a>`;
}

/** How changes reach this page; a click pauses them. */
function Connection() {
  const { state } = connection.value;
  const [sign, word, tone] = CONNECTIONS[state];
  return html`<button type="button" class="quiet connection" aria-pressed=${paused.value} onClick=${togglePause}
    title=${paused.value ? "Go on with live updates" : "Pause live updates"}>
    <span class=${`tone ${tone}`}><span class="sign" aria-hidden="true">${sign}</span>
    <span class="unseen">Updates: </span>${" "}${word}</span>
  </button>`;
}

function ThemeSwitch() {
  const [sign, next] = THEMES[theme.value];
  return html`<button type="button" class="quiet" title=${`Theme: ${theme.value}`} onClick=${() => (theme.value = next)}>
    <span aria-hidden="true">${sign}</span><span class="unseen">Theme: ${theme.value}, switch to ${next}</span></button>`;
}

/** Name, state, verdict and the tabs of a run, on each of its pages. */
function RunHead({ run, page }) {
  const { data } = useResource(`api/runs/${run}`, { run, kinds: ["runs", "status", "gate"] });
  const line = data?.run ?? data;
  const tabs = RUN_TABS.map((key) => ({ key, title: key[0].toUpperCase() + key.slice(1), href: href(key, { run }) }));
  return html`<div class="run-head">
    <div class="run-name">
      <a class="crumb" href=${href("runs")}>Runs</a><span class="crumb-mark" aria-hidden="true">/</span>
      <a class="name" href=${href("overview", { run })}>${run}</a>
      ${line && html`<${RunState} value=${line.state} />`}
      ${line?.verdict && html`<${Verdict} value=${line.verdict} note=${line.judged_under ?? line.profile} />`}
      ${line?.stale && html`<${Verdict} value="stale" />`}
    </div>
    <${Tabs} items=${tabs} current=${page} label="Pages of this run" />
  </div>`;
}

function Said() {
  return html`<div class="unseen" role="status" aria-live="polite" id="said">${said.value}</div>`;
}
