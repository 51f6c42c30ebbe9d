// The start: log in, then show the page that the address names. Pages are loaded when they are first shown.
import { Component, html, render, useEffect, useState } from "./html.js";
import { Login, Unreachable, enter } from "./login.js";
import { route } from "./router.js";
import { Shell } from "./shell.js";
import { session } from "./store.js";
import { startLive } from "./stream.js";
import { PageHead } from "./parts/page.js";
import { Loading, ProblemBox } from "./parts/states.js";

const PAGES = {
  runs: () => import("./pages/runs.js"),
  overview: () => import("./pages/overview.js"),
  curves: () => import("./pages/curves.js"),
  gate: () => import("./pages/gate.js"),
  data: () => import("./pages/data.js"),
  evals: () => import("./pages/evals.js"),
  artifacts: () => import("./pages/artifacts.js"),
  events: () => import("./pages/events.js"),
  compare: () => import("./pages/compare.js"),
  play: () => import("./pages/play.js"),
  scale: () => import("./pages/scale.js"),
  system: () => import("./pages/system.js"),
};
const loaded = new Map();

function App() {
  const { state } = session.value;
  if (state === "in") return html`<${Shell}><${CurrentPage} /><//>`;
  if (state === "out") return html`<${Login} />`;
  if (state === "unreachable") return html`<${Unreachable} />`;
  return html`<main id="main"><${Loading} /></main>`;
}

function CurrentPage() {
  const { page, run, query } = route.value;
  const [, redraw] = useState(0);
  const Page = loaded.get(page);
  useEffect(() => {
    if (!Page && PAGES[page]) load(page).then(() => redraw((n) => n + 1));
  }, [page]);
  if (!PAGES[page]) return html`<${NotHere} key=${location.hash} />`;
  if (!Page) return html`<${Loading} key=${page} />`;
  return html`<${Guard} key=${`${page} ${run}`}><${Page} run=${run} query=${query} /><//>`;
}

function load(page) {
  return PAGES[page]().then(
    (module) => loaded.set(page, module.default),
    // An import that failed is not tried again by the browser: a new start is the cure.
    (err) => loaded.set(page, () => html`<${Broken} title=${page} error=${err} />`),
  );
}

/** What a page throws while it is drawn is shown in its place; the shell lives on. */
class Guard extends Component {
  componentDidCatch(error) {
    reportError(error);
    this.setState({ error });
  }

  render({ children }, { error }) {
    return error ? html`<${Broken} title="This page" error=${error} />` : children;
  }
}

function Broken({ title, error }) {
  return html`<${PageHead} title=${title[0].toUpperCase() + title.slice(1)} />
    <${ProblemBox} error=${{
      detail: "this page is not there",
      why: String(error?.message ?? error),
      fix: "load the page again; if that does not help, this version of the workbench is not whole",
    }} onRetry=${() => location.reload()} />`;
}

function NotHere() {
  return html`<${PageHead} title="No such page" />
    <${ProblemBox} error=${{ detail: "there is nothing under this address", why: "it may have been cut or mistyped", fix: "go to the list of runs" }} />`;
}

enter().finally(() => render(html`<${App} />`, document.getElementById("app")));
startLive();
