// The tokenizer: its numbers, and any text as the tokens that a model of this run sees.
import { get } from "../api.js";
import { UNKNOWN, bpb, integer, number, percent } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { setQuery } from "../router.js";
import { CopyButton } from "../parts/command.js";
import { Facts, Section } from "../parts/page.js";
import { Empty, ProblemBox } from "../parts/states.js";
import { DataTable } from "../parts/table.js";
import { Verdict } from "../parts/verdict.js";

const MOST_CHARS = 2000;
const WAIT_MS = 250;
const EXAMPLE = "Hello <|end|> world, 1234 + 5678.\n";

/** A piece of text with what nobody sees in it drawn: a space at the edge, tab, line end. */
export function visible(text) {
  return text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replace(/^ | $/g, "␣");
}

export function Tokens({ run, query, tokenizer }) {
  return html`<${Encoder} run=${run} text=${query.text ?? EXAMPLE} />
    <${Numbers} ...${tokenizer} />`;
}

function Encoder({ run, text }) {
  const [typed, type] = useState(text);
  const [answer, setAnswer] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setAnswer(await get(`api/runs/${run}/tokens?text=${encodeURIComponent(typed)}`, null, { abort: abort.signal, keep: false }));
        setError(null);
        setQuery({ text: typed });
      } catch (problem) {
        if (problem.name !== "AbortError") setError(problem);
      }
    }, WAIT_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [run, typed]);
  return html`<${Section} id="encode" title="Text to tokens">
    <label class="field">Text, at most ${integer(MOST_CHARS)} characters; nothing in it becomes a control token
      <textarea class="encode" rows="3" maxlength=${MOST_CHARS} spellcheck="false" autocomplete="off" value=${typed}
        onInput=${(event) => type(event.currentTarget.value)}></textarea></label>
    ${error && html`<${ProblemBox} error=${error} />`}
    ${answer && answer.state !== "present" && (answer.state === "missing"
      ? html`<${Empty} what="This run has no tokenizer yet" do="The stage tokenizer trains it on the train side of the corpus." />`
      : html`<${ProblemBox} error=${{ detail: "tokenizer.json cannot be used", why: answer.why }} />`)}
    ${answer?.tokens && html`<${Encoded} ...${answer} />`}
  <//>`;
}

function Encoded({ tokens, bytes, chars, vocab_size: vocab }) {
  const ids = tokens.map(([id]) => id);
  const rows = tokens.map(([id, text, hex], at) => ({ at: at + 1, id, text, hex }));
  const columns = [
    { key: "at", title: "#", align: "right" },
    { key: "id", title: "Id", align: "right" },
    { key: "text", title: "Text", render: (row) => (row.text === null ? html`<span class="muted">part of a character</span>`
      : html`<code class="piece">${visible(row.text)}</code>`) },
    { key: "hex", title: "Bytes", render: (row) => html`<code>${row.hex}</code>` },
  ];
  return html`<p class="lead" role="status">${integer(tokens.length)} tokens for ${integer(chars)} characters, ${integer(bytes)} bytes:
      ${" "}${tokens.length ? number(bytes / tokens.length) : UNKNOWN} bytes a token. The vocabulary has ${integer(vocab)} ids.</p>
    <div class="id-list"><code>[${ids.join(", ")}]</code><${CopyButton} text=${JSON.stringify(ids)} what="Ids copied" /></div>
    <div class="token-table"><${DataTable} caption="Tokens of the text" columns=${columns} rows=${rows} key="at" stack="none" empty="no text, no token" /></div>`;
}

function Numbers({ state, why, special, longest, by_source: bySource, baselines, fast_path: fast, ...found }) {
  if (state === "missing") return html`<${Section} id="tokenizer" title="Measured"><${Empty} what="Nothing was measured yet" /><//>`;
  if (state === "unreadable") {
    return html`<${Section} id="tokenizer" title="Measured"><${ProblemBox} error=${{ detail: "tokenizer_report.json cannot be read", why }} /><//>`;
  }
  const pairs = (object, title, show) => html`<${DataTable} caption=${title} showCaption stack="none" key="name"
    rows=${Object.entries(object).map(([name, value]) => ({ name, value }))} empty="nothing is written down"
    columns=${[{ key: "name", title: "Name" }, { key: "value", title: "Value", align: "right", render: (row) => show(row.value) }]} />`;
  return html`<${Section} id="tokenizer" title="Measured">
    <${Facts} items=${[
      ["Vocabulary", integer(found.vocab_size), `${integer(found.unused_ids)} ids unused`],
      ["Bytes a token", number(found.bytes_per_token)],
      ["Single-byte tokens", percent(found.single_byte_token_frac)],
      ["Train tokens", integer(found.train_tokens), `${integer(found.val_tokens)} validation`],
      ["Both encoders agree", fast.equal === null ? UNKNOWN : html`<${Verdict} value=${fast.equal ? "pass" : "warn"} />`,
        fast.checked_bytes !== null ? `on ${integer(fast.checked_bytes)} bytes` : null],
    ]} />
    <div class="columns below">
      <div>${pairs(bySource, "Bytes a token by source", number)}</div>
      <div>${pairs(baselines, "Bits a byte of n-grams", bpb)}</div>
      <div>${pairs(special, "Control tokens", integer)}</div>
      <div><${DataTable} caption="Longest tokens" showCaption stack="none" key="id" rows=${longest} empty="nothing is written down"
        columns=${[{ key: "id", title: "Id", align: "right" }, { key: "text", title: "Text",
          render: (row) => html`<code class="piece">${visible(row.text ?? "")}</code>` },
          { key: "bytes", title: "Bytes", align: "right", render: (row) => integer(row.bytes) }]} /></div>
    </div>
  <//>`;
}
