// Colours of charts: a canvas takes no custom property, so the tokens are resolved here, anew with each theme.
import { effect, signal } from "../html.js";
import { theme } from "../store.js";

const SERIES = 8;
const NAMES = ["text", "muted", "line", "surface", "accent", "warn", "block", "neutral"];

/** `{series: [...], text, muted, line, ...}` as CSS colours that a canvas understands. */
export const colours = signal(null);

let probe = null;

function resolve() {
  if (!probe) {
    probe = document.createElement("div");
    probe.className = "chart-probe";
    probe.hidden = true;
    document.body.append(probe);
  }
  const read = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  colours.value = {
    series: Array.from({ length: SERIES }, (_, n) => read(`s${n}`)),
    ...Object.fromEntries(NAMES.map((name) => [name, read(name)])),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", resolve);
effect(() => {
  theme.value;
  // The attribute that the theme sets is there after the effects of this turn.
  queueMicrotask(resolve);
});
resolve();
