// What a run was made from: corpus, dropped documents, tokenizer, chat rows, packing.
import { html } from "../html.js";
import { useResource } from "../live.js";
import { Command } from "../parts/command.js";
import { PageHead, Tabs } from "../parts/page.js";
import { Resource } from "../parts/states.js";
import { Chat } from "./data_chat.js";
import { Corpus } from "./data_corpus.js";
import { Dropped } from "./data_dropped.js";
import { Packing } from "./data_packing.js";
import { Tokens } from "./data_tokens.js";

const VIEWS = { corpus: Corpus, dropped: Dropped, tokens: Tokens, chat: Chat, packing: Packing };
const TITLES = {
  corpus: "Corpus", dropped: "Dropped", tokens: "Tokenizer", chat: "Chat rows", packing: "Packing and leaks",
};

export default function Page({ run, query }) {
  const data = useResource(`api/runs/${run}/data`, { run, kinds: ["reports", "status"] });
  const view = VIEWS[query.tab] ? query.tab : "corpus";
  const items = Object.entries(TITLES).map(([key, title]) => ({ key, title, note: note(key, data.data) }));
  return html`<${PageHead} title="Data" run=${run}>What the model was made from, and what was left out.<//>
    <${Tabs} items=${items} current=${view} label="Parts of the data" />
    <${Resource} of=${data} lines=${8}>${(found) => html`<${VIEWS[view]} key=${view} run=${run} query=${query} ...${found} />
      <div class="below"><${Command} text=${found.command} why="The same in a terminal" /></div>`}<//>`;
}

// How many documents were dropped is worth knowing before the tab is opened.
function note(key, data) {
  const total = key === "dropped" ? data?.dataset.dropped.total : null;
  return typeof total === "number" ? total.toLocaleString("en") : null;
}
