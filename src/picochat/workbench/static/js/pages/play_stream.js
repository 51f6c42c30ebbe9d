// One answer as it arrives: frames of the server to tokens with probabilities, the same for chats and texts.

import { postRaw } from "../api.js";
import { readFrames } from "../sse.js";

/** What a side shows before anything was asked. */
export const NOTHING = Object.freeze({
  state: "empty", prompt: [], tokens: [], text: "", finish: null, error: null, usage: null, firstMs: null, totalMs: null,
});

/**
 * Asks for one answer and reports it piece by piece.
 * @param {object} body what POST api/generate takes
 * @param {AbortSignal} signal stops the answer, which frees the model at the next token
 * @param {(answer: object) => void} report called with the whole answer so far
 */
export async function answer(body, signal, report) {
  const clock = performance;
  let began = clock.now();
  let now = { ...NOTHING, state: "asking" };
  const say = (patch) => report((now = { ...now, ...patch }));
  say({});
  try {
    const response = await postRaw("api/generate", body, { abort: signal });
    await readFrames(response.body, { onFrame: ({ data }) => data !== "[DONE]" && take(JSON.parse(data)) });
    if (now.state !== "failed") say({ state: "done" });
  } catch (error) {
    if (signal.aborted) say({ state: "stopped" });
    else say({ state: "failed", error: error.detail || error.message });
  }

  function take(frame) {
    if (frame.state === "prompt") return say({ prompt: frame.tokens });
    if (frame.state === "loading") return say({ state: "loading" });
    if (frame.state === "answering") {
      began = clock.now();
      return say({ state: "answering", model: frame.model });
    }
    if (frame.error) {
      const words = typeof frame.error === "string" ? frame.error : frame.error.message;
      return say({ state: "failed", error: words });
    }
    const tokens = tokensOf(frame);
    const patch = { totalMs: clock.now() - began };
    if (tokens.length) {
      if (now.firstMs === null) patch.firstMs = clock.now() - began;
      patch.tokens = [...now.tokens, ...tokens];
    }
    const choice = frame.choices?.[0];
    const text = choice ? choice.text ?? choice.delta?.content ?? "" : "";
    if (text) patch.text = now.text + text;
    if (choice?.finish_reason) patch.finish = choice.finish_reason;
    if (frame.usage) patch.usage = frame.usage;
    return say(patch);
  }
}

/** The tokens of a chunk: text, log-probability, and the likeliest at its place, the best first. */
export function tokensOf(frame) {
  const shown = frame.choices?.[0]?.logprobs;
  if (!shown) return [];
  if (shown.content) {
    return shown.content.map((token) => ({
      text: token.token, logprob: token.logprob, top: token.top_logprobs.map(({ token: text, logprob }) => ({ text, logprob })),
    }));
  }
  return shown.tokens.map((text, place) => ({
    text,
    logprob: shown.token_logprobs[place],
    top: Object.entries(shown.top_logprobs?.[place] ?? {})
      .map(([other, logprob]) => ({ text: other, logprob }))
      .sort((a, b) => b.logprob - a.logprob)
      .slice(0, 10),
  }));
}

/** 0 (unlikely) to 4 (certain): what a token is coloured by, beside its figure. */
export function likelihood(logprob) {
  const p = Math.exp(logprob);
  if (p >= 0.9) return 4;
  if (p >= 0.5) return 3;
  if (p >= 0.2) return 2;
  return p >= 0.05 ? 1 : 0;
}
