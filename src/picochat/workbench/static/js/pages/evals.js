// Evaluation of a run: fit and held-out fit, rows, samples over training, published benchmarks, honesty.
import { html } from "../html.js";
import { href } from "../router.js";
import { PageHead, Tabs } from "../parts/page.js";
import { Benchmarks } from "./evals_benchmarks.js";
import { Fit } from "./evals_fit.js";
import { Honesty } from "./evals_honesty.js";
import { Rows } from "./evals_rows.js";
import { Samples } from "./evals_samples.js";

const VIEWS = {
  fit: ["Fit and eval", Fit],
  rows: ["Rows", Rows],
  samples: ["Samples", Samples],
  benchmarks: ["Benchmarks", Benchmarks],
  honesty: ["Honesty", Honesty],
};

export default function Page({ run, query }) {
  const tab = VIEWS[query.tab] ? query.tab : "fit";
  const View = VIEWS[tab][1];
  return html`<${PageHead} title="Evaluation" run=${run} />
    <${Tabs} label="Parts of the evaluation" current=${tab}
      items=${Object.entries(VIEWS).map(([key, [title]]) => ({ key, title, href: address(run, key) }))} />
    <${View} key=${tab} run=${run} query=${query} />`;
}

// A tab begins afresh: filters of one say nothing in another.
function address(run, tab) {
  return href("evals", { run, query: { tab } });
}
