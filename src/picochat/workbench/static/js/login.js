// Logging in: the token of the printed link, or one that is typed, becomes a cookie and a value against forged writes.
import { forget, get, post } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { follow } from "./router.js";
import { session } from "./store.js";
import { Command } from "./parts/command.js";
import { ProblemBox } from "./parts/states.js";

const TOKEN = /^#token=([^&]+)$/;

/** Takes the token out of the address, or asks whether the cookie still holds. Sets `session`. */
export async function enter() {
  const found = TOKEN.exec(location.hash);
  if (found) {
    // Before anything else: the token must not stay in the address, the history or a copied link.
    history.replaceState(null, "", `${location.pathname}${location.search}#/runs`);
    follow();
    return logIn(decodeURIComponent(found[1])).catch(() => undefined);
  }
  return get("api/session").then(welcome, stayOut);
}

/** Exchanges a token. Throws Problem. */
export async function logIn(token) {
  try {
    welcome(await post("api/login", { token }));
  } catch (problem) {
    stayOut(problem);
    throw problem;
  }
}

function welcome({ csrf, read_only: readOnly, version }) {
  forget();
  session.value = { state: "in", csrf, readOnly: Boolean(readOnly), version: version ?? "", why: "" };
}

function stayOut(problem) {
  session.value = { ...session.value, state: problem.status === 0 ? "unreachable" : "out", csrf: "", why: problem.detail };
}

/** The page before the pages. */
export function Login() {
  const field = useRef(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  useTitle("Log in");
  const submit = async (event) => {
    event.preventDefault();
    // A whole link may be pasted as well as the token alone.
    const token = field.current.value.trim().replace(/^.*#token=/, "");
    if (!token) {
      setError({ detail: "the field is empty", why: "", fix: "paste the token, or the whole link" });
      field.current.focus();
      return;
    }
    setBusy(true);
    await logIn(token).catch((problem) => {
      setError(problem);
      field.current?.focus();
    });
    setBusy(false);
  };
  return html`<main class="login" id="main">
    <h1>Log in</h1>
    <p>The workbench prints a link when it starts. Open that link, or paste its token here. It is new at each start.</p>
    <form onSubmit=${submit}>
      <label for="token">Token</label>
      <input id="token" name="token" type="password" autocomplete="off" spellcheck="false" ref=${field}
        aria-invalid=${error ? "true" : null} aria-describedby=${error ? "token-problem" : null} autofocus />
      <button type="submit" class="primary" disabled=${busy}>${busy ? "Logging in" : "Log in"}</button>
    </form>
    <div id="token-problem" role="alert">${error && html`<${ProblemBox} error=${error} />`}</div>
    <${Command} text="picochat web" why="Where is the token? In the terminal where this was started." />
  </main>`;
}

/** No server behind the page: says so and asks again. */
export function Unreachable() {
  useTitle("No answer");
  return html`<main class="login" id="main">
    <h1>No answer</h1>
    <p>${session.value.why}</p>
    <button type="button" class="primary" onClick=${enter}>Try again</button>
    <${Command} text="picochat web" why="Start it where the runs are, then open the link that it prints." />
  </main>`;
}

function useTitle(title) {
  useEffect(() => {
    document.title = `${title} · Picochat`;
  }, [title]);
}
