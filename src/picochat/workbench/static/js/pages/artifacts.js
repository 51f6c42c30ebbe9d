// Files of a run: which came from which, whether the bytes still hold, and the checkpoints among them.
import { html } from "../html.js";
import { PageHead, Tabs } from "../parts/page.js";
import { Checkpoints } from "./artifacts_checkpoints.js";
import { Lineage } from "./artifacts_lineage.js";

const VIEWS = { lineage: Lineage, checkpoints: Checkpoints };
const ITEMS = [{ key: "lineage", title: "Lineage" }, { key: "checkpoints", title: "Checkpoints" }];

export default function Page({ run, query }) {
  const view = VIEWS[query.tab] ? query.tab : "lineage";
  return html`<${PageHead} title="Artifacts" run=${run}>Every file of the run, who wrote it, and whether it is still that file.<//>
    <${Tabs} items=${ITEMS} current=${view} label="Views of the files" />
    <${VIEWS[view]} key=${view} run=${run} query=${query} />`;
}
