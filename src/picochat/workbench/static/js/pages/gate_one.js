// One check judged again by a command that writes nothing, and what it said before.
import { get, post } from "../api.js";
import { number, rate } from "../format.js";
import { html, useEffect, useState } from "../html.js";
import { useResource } from "../live.js";
import { Action } from "../parts/command.js";
import { ProblemBox } from "../parts/states.js";
import { Verdict } from "../parts/verdict.js";

export function JudgeOne({ run, check, profile, command, before }) {
  const [process, setProcess] = useState(null);
  const judge = async () => setProcess((await post(`api/runs/${run}/gate`, { check, profile })).process);
  return html`<${Action} title="Judge this one again" command=${command} onRun=${judge} />
    ${process && html`<${Outcome} id=${process} key=${process} before=${before} />`}`;
}

function Outcome({ id, before }) {
  const { data } = useResource(`api/processes/${id}`, { kinds: ["processes"] });
  const [found, setFound] = useState(null);
  const ended = data !== null && data.state !== "running";
  useEffect(() => {
    if (ended) read(id).then(setFound, (error) => setFound({ error }));
  }, [ended]);
  if (found === null) return html`<p role="status">Judging …</p>`;
  if (found.error) return html`<${ProblemBox} error=${found.error} />`;
  return html`<p role="status">before: ${side(before)}, now: ${side(found.result)}. gate.json stays as it is.</p>`;
}

// The command prints one document; what it warned of stands before it.
async function read(id) {
  const { text, total_bytes: total, next_offset: next } = await get(`api/processes/${id}/output`, { offset: 0 }, { keep: false });
  const begins = text.search(/^\{/m);
  if (begins < 0 || next < total) throw new Error(text.trim().split("\n").at(-1) || "the command said nothing");
  return JSON.parse(text.slice(begins));
}

function side(result) {
  if (!result) return html`<${Verdict} value="not_run" />`;
  const share = result.unit === "fraction" && typeof result.n === "number";
  return html`<${Verdict} value=${result.verdict} /> ${share ? rate(result.measured, result.n) : typeof result.measured === "number"
    ? number(result.measured) : result.measured ?? "—"}`;
}
