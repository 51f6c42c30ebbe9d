// The playground: one prompt, one seed, two checkpoints side by side.

import { html, useEffect, useRef, useState } from "../html.js";
import { setQuery } from "../router.js";
import { useResource } from "../live.js";
import { PageHead } from "../parts/page.js";
import { Empty, Resource } from "../parts/states.js";
import { Side, nameOf, speaks } from "./play_side.js";
import { answer } from "./play_stream.js";

const CONTROLS = [
  { key: "max_tokens", label: "Most tokens", min: 1, max: 4096, step: 1, value: 64 },
  { key: "temperature", label: "Temperature", min: 0, max: 2, step: 0.05, value: 0.7 },
  { key: "top_p", label: "Top p", min: 0.01, max: 1, step: 0.01, value: 1 },
  { key: "top_k", label: "Top k, 0 for all", min: 0, max: 100000, step: 1, value: 0 },
  { key: "seed", label: "Seed", min: 0, max: 9007199254740991, step: 1, value: 1 },
];

export default function Page({ query }) {
  const speakers = useResource("api/speakers", { kinds: ["runs", "checkpoints"] });
  return html`
    <${PageHead} title="Playground" />
    <p class="banner" role="note">A sample is no proof: what a model can do stands in its evaluation, with intervals.</p>
    <${Resource} of=${speakers}>${(data) => data.checkpoints.length
      ? html`<${Bench} choices=${data.checkpoints} query=${query} />`
      : html`<${Empty} what="There is no checkpoint yet." do="Train a run; each saved checkpoint can speak." command="picochat demo" />`}<//>`;
}

function Bench({ choices, query }) {
  const [turns, setTurns] = useState([]);
  const [answers, setAnswers] = useState({ left: [], right: [] });
  const [draft, setDraft] = useState(query.prompt ?? "");
  const [running, setRunning] = useState(false);
  const stopper = useRef(null);
  const latest = useRef(answers);
  latest.current = answers;
  useEffect(() => () => stopper.current?.abort(), []);

  const find = (name) => choices.find((choice) => nameOf(choice) === name);
  const sides = { left: find(query.left) ?? choices[0], right: find(query.right) ?? null };
  const values = Object.fromEntries(CONTROLS.map(({ key, value }) => [key, Number(query[key] ?? value)]));

  const bodyOf = (entry, place, kept = latest.current, asked = turns) => {
    const side = entry === sides.left ? "left" : "right";
    const chat = speaks(entry.checkpoint);
    const messages = chat ? asked.slice(0, place + 1).flatMap((text, turn) => [
      { role: "user", content: text },
      ...(turn < place ? [{ role: "assistant", content: kept[side][turn]?.text ?? "" }] : []),
    ]) : [];
    return { run: entry.run, checkpoint: entry.checkpoint, messages, ...(chat ? {} : { prompt: asked[place] }), ...values };
  };

  const run = async (asked) => {
    const place = asked.length - 1;
    const stop = new AbortController();
    stopper.current = stop;
    setTurns(asked);
    setRunning(true);
    const kept = latest.current;
    await Promise.all(Object.entries(sides).filter(([, entry]) => entry).map(([side, entry]) =>
      answer(bodyOf(entry, place, kept, asked), stop.signal, (found) => setAnswers((before) => {
        const own = before[side].slice(0, place);
        own[place] = found;
        return { ...before, [side]: own };
      }))));
    setRunning(false);
  };

  const send = (event) => {
    event?.preventDefault();
    if (!running && draft.trim()) { run([...turns, draft]); setDraft(""); }
  };
  const edit = () => { setDraft(turns.at(-1)); setTurns(turns.slice(0, -1)); };
  const forget = () => { setTurns([]); setAnswers({ left: [], right: [] }); };

  return html`
    <form class="composer" onSubmit=${send}>
      <label class="wide">Prompt
        <textarea name="prompt" rows="3" maxlength="32000" value=${draft} onInput=${(event) => setDraft(event.target.value)}
          onKeyDown=${(event) => event.key === "Enter" && (event.ctrlKey || event.metaKey) && send(event)}></textarea>
      </label>
      <fieldset class="controls"><legend>Sampling</legend>
        ${CONTROLS.map(({ key, label, min, max, step }) => html`<label key=${key}>${label}
          <input type="number" name=${key} min=${min} max=${max} step=${step} required value=${values[key]}
            onChange=${(event) => event.target.checkValidity() ? setQuery({ [key]: event.target.value }) : event.target.reportValidity()} /></label>`)}
      </fieldset>
      <p class="buttons">
        <button type="submit" class="primary" disabled=${running || !draft.trim()}>Ask</button>
        <button type="button" disabled=${!running} onClick=${() => stopper.current?.abort()}>Stop</button>
        <button type="button" disabled=${running || !turns.length} onClick=${() => run(turns)}>Regenerate</button>
        <button type="button" disabled=${running || !turns.length} onClick=${edit}>Edit the last prompt</button>
        <button type="button" disabled=${running || !turns.length} onClick=${forget}>Start again</button>
        <span class="note">Ctrl+Enter asks. The same seed gives the same text.</span>
      </p>
    </form>
    ${turns.length > 0 && html`<ol class="turns" aria-label="What was asked">${turns.map((text, place) => html`<li key=${place}>${text}</li>`)}</ol>`}
    <div class="sides">
      ${["left", "right"].map((side) => html`<${Side} key=${side} side=${side} entry=${sides[side]} choices=${choices} turns=${turns}
        answers=${answers[side]} bodyOf=${bodyOf} onChoose=${(name) => { forget(); setQuery({ [side]: name || null }); }} />`)}
    </div>`;
}
