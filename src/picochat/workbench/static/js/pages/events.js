// What a run said: its events, the logs of its ranks, and the output of commands that the workbench started.
import { html } from "../html.js";
import { PageHead, Tabs } from "../parts/page.js";
import { Events } from "./events_list.js";
import { Logs } from "./events_logs.js";
import { Commands } from "./events_commands.js";

const VIEWS = { events: Events, logs: Logs, commands: Commands };
const ITEMS = [{ key: "events", title: "Events" }, { key: "logs", title: "Logs of the ranks" }, { key: "commands", title: "Commands" }];

export default function Page({ run, query }) {
  const view = VIEWS[query.tab] ? query.tab : "events";
  return html`<${PageHead} title="Events" run=${run}>What the run wrote down while it worked.<//>
    <${Tabs} items=${ITEMS} current=${view} label="What is shown" />
    <${VIEWS[view]} key=${view} run=${run} query=${query} />`;
}
