// What the whole page shares: who is logged in, the theme, the shortcut switch, and what is said politely.
import { effect, signal } from "./html.js";

const THEME = "picochat.theme";
const SHORTCUTS = "picochat.shortcuts";
const SAY_EVERY_MS = 10000;

/** `state`: "asking" until the server answered, then "in" or "out". `csrf` lives here only, for as long as the page. */
export const session = signal({ state: "asking", csrf: "", readOnly: false, version: "", why: "" });

/** "system", "dark" or "light". */
export const theme = signal(remembered(THEME, ["system", "dark", "light"]));

/** "on" or "off": whether single keys do something. */
export const shortcuts = signal(remembered(SHORTCUTS, ["on", "off"]));

/** The run that was opened last, for `g c` and its like on pages without one. */
export const lastRun = signal(null);

/** The text of the polite live region. */
export const said = signal("");

/** What stands in the help dialog beside the keys of the shell: [keys, what they do]. */
export const pageKeys = signal([]);

let lastSaid = -Infinity;
let waiting = null;

/** Says something to a screen reader without taking the focus: at most one message in ten seconds, the newest wins. */
export function announce(text) {
  const now = performance.now();
  if (waiting !== null) {
    waiting.text = text;
  } else if (now - lastSaid >= SAY_EVERY_MS) {
    say(text);
  } else {
    waiting = { text };
    setTimeout(() => {
      const { text: newest } = waiting;
      waiting = null;
      say(newest);
    }, SAY_EVERY_MS - (now - lastSaid));
  }
}

function say(text) {
  lastSaid = performance.now();
  // The same words twice are no change to a live region; a space at the end makes them one.
  said.value = said.value === text ? `${text} ` : text;
}

// Storage may be forbidden by the browser; the page works without it.
function remembered(key, allowed) {
  try {
    const value = localStorage.getItem(key);
    return allowed.includes(value) ? value : allowed[0];
  } catch {
    return allowed[0];
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // not kept; it holds until the page is closed
  }
}

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  remember(THEME, theme.value);
});
effect(() => remember(SHORTCUTS, shortcuts.value));
