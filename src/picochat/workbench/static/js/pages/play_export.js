// The same question for other programs: JSON, curl, OpenAI's client. They speak to `picochat serve`.

import { html } from "../html.js";
import { Command } from "../parts/command.js";

const PLACE = "http://127.0.0.1:8000/v1";

/** A text in single quotes of a shell. */
export function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Path and body as `picochat serve` takes them. */
export function requestOf(body, model) {
  const { run, checkpoint, messages, prompt, ...rest } = body;
  const chat = messages.length > 0;
  return { path: chat ? "/chat/completions" : "/completions", body: { model, ...(chat ? { messages } : { prompt }), ...rest } };
}

/** A value as Python writes it: JSON but for its three words, which do not occur in a request. */
function python(value) {
  return JSON.stringify(value);
}

/** The lines of a program that asks the same with OpenAI's client. */
export function openaiCode({ path, body }) {
  const method = path === "/completions" ? "completions" : "chat.completions";
  const { top_k, ...known } = body;
  const lines = Object.entries(known).map(([key, value]) => `    ${key}=${python(value)},`);
  return [
    "from openai import OpenAI", "", `client = OpenAI(base_url="${PLACE}", api_key="none")`,
    `answer = client.${method}.create(`, ...lines, `    extra_body={"top_k": ${top_k}},`, ")", "print(answer.choices[0])",
  ].join("\n");
}

/** Three ways to ask the same again. */
export function Exports({ body, answer }) {
  const model = answer?.model ?? "MODEL";
  const asked = requestOf(body, model);
  const record = { asked: body, answer: answer && { text: answer.text, finish: answer.finish, usage: answer.usage, tokens: answer.tokens } };
  return html`
    <details class="exports">
      <summary>Ask the same elsewhere</summary>
      <${Command} text=${`picochat serve --checkpoint runs/${body.run}/${body.checkpoint} --tokenizer runs/${body.run}/tokenizer.json`}
        why="the endpoint that the two below speak to" />
      <${Command} text=${`curl -s ${PLACE}${asked.path} -H "content-type: application/json" -d ${quoted(JSON.stringify(asked.body))}`} why="curl" />
      <${Command} text=${openaiCode(asked)} why="OpenAI's client for Python" />
      <${Command} text=${JSON.stringify(record, null, 1)} why="question and answer as JSON" />
    </details>`;
}
