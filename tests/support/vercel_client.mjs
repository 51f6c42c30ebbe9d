// What Vercel's AI SDK sees of a server: node vercel_client.mjs BASE_URL MODEL -> one JSON document.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, streamText } from "ai";

const [baseURL, model] = process.argv.slice(2);
const provider = createOpenAICompatible({ name: "picochat", baseURL, apiKey: "any", includeUsage: true });
const asked = { maxOutputTokens: 8, seed: 3, temperature: 0.5, maxRetries: 0 };
const chat = { ...asked, model: provider.chatModel(model), prompt: "Spell cat." };
const whole = await generateText(chat);
const stream = streamText(chat);
let streamed = "";
for await (const part of stream.textStream) streamed += part;
const completed = await generateText({ ...asked, model: provider.completionModel(model), prompt: "the cat" });
let refused = null;
try {
  await generateText({ ...chat, maxOutputTokens: 5000 });
} catch (err) {
  refused = [err.statusCode, err.isRetryable];
}
const usage = [whole.usage.outputTokens, (await stream.usage).outputTokens];
console.log(JSON.stringify({ text: whole.text, streamed, usage, completed: completed.text, refused }));
