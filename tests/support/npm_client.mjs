// What the official npm client sees of a server: node npm_client.mjs BASE_URL MODEL -> one JSON document.
import OpenAI from "openai";

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0 });
const messages = [{ role: "user", content: "Spell cat." }];
const seen = {};

seen.models = [];
for await (const found of client.models.list()) seen.models.push(found.id);
seen.model = (await client.models.retrieve(model)).gate;

const text = { model, prompt: "the cat", max_tokens: 12, seed: 5 };
const whole = await client.completions.create(text);
seen.text = whole.choices[0].text;
seen.usage = whole.usage;
seen.textStream = "";
for await (const chunk of await client.completions.create({ ...text, stream: true })) {
  seen.textStream += chunk.choices[0].text;
}

const chat = { model, messages, max_completion_tokens: 12, seed: 5 };
seen.chat = (await client.chat.completions.create(chat)).choices[0].message.content;
seen.chatStream = "";
seen.chatUsage = null;
const options = { ...chat, stream: true, stream_options: { include_usage: true } };
for await (const chunk of await client.chat.completions.create(options)) {
  if (chunk.choices.length) seen.chatStream += chunk.choices[0].delta.content ?? "";
  if (chunk.usage) seen.chatUsage = chunk.usage;
}
const runner = client.chat.completions.stream(chat);
seen.helper = (await runner.finalChatCompletion()).choices[0].message.content;

seen.errors = [];
for (const wrong of [{ model: "gpt-4" }, { temperature: 3 }, { tools: [{ type: "function" }] }]) {
  try {
    await client.chat.completions.create({ ...chat, ...wrong });
    seen.errors.push("none");
  } catch (err) {
    seen.errors.push([err.constructor.name, err.status, err.code, err.param]);
  }
}
console.log(JSON.stringify(seen));
