// A server-sent event stream read by fetch. EventSource hides comments, and only they prove that a silent stream lives.

/** Reads `text/event-stream` until it ends or is aborted. `onByte()` at each piece, `onFrame({id, data})` at each frame. */
export async function readStream(url, { lastId = null, abort, onByte, onFrame }) {
  const headers = { Accept: "text/event-stream" };
  if (lastId !== null) headers["Last-Event-ID"] = String(lastId);
  const response = await fetch(url, { headers, cache: "no-store", credentials: "same-origin", signal: abort });
  const kind = response.headers.get("content-type") ?? "";
  if (!response.ok || !kind.startsWith("text/event-stream")) {
    response.body?.cancel().catch(() => undefined);
    throw Object.assign(new Error(`no stream: status ${response.status}`), { status: response.status });
  }
  onByte();
  await readFrames(response.body, { onByte, onFrame });
}

/** Reads the frames of a body until it ends. Leaving early, by an abort or by throwing in `onFrame`, closes it. */
export async function readFrames(body, { onByte = () => undefined, onFrame }) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const parser = new Frames(onFrame);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onByte();
      parser.take(value);
    }
  } catch (err) {
    reader.cancel().catch(() => undefined);
    throw err;
  }
}

/** Cuts text into frames, wherever it was cut on its way. */
class Frames {
  constructor(onFrame) {
    this.onFrame = onFrame;
    this.rest = "";
    this.frame = { id: null, data: [] };
  }

  take(text) {
    const lines = (this.rest + text).split(/\r?\n/);
    this.rest = lines.pop();
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") {
      if (this.frame.data.length) this.onFrame({ id: this.frame.id, data: this.frame.data.join("\n") });
      this.frame = { id: this.frame.id, data: [] };
    } else if (!line.startsWith(":")) {
      const at = line.indexOf(":");
      const field = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
      if (field === "data") this.frame.data.push(value);
      if (field === "id") this.frame.id = value;
    }
  }
}
