// A part of a growing file that can be read on in both directions, and follows its end.
import { get } from "../api.js";
import { useEffect, useRef, useState } from "../html.js";
import { onEvent } from "../live.js";

const MOST = 4000;
const EMPTY = { items: [], begin: 0, end: 0, size: null, partial: null, state: null, why: "", busy: true, error: null, whole: true, extra: {} };

/**
 * `path` and `params` as for get(); `list` names the rows of an answer, `kind` what tells that there is more. `at`: where
 * to begin instead of the end. Gives the rows with `older()`, `newer()`, `last()` and whether it follows.
 */
export function useWindow(path, { params, run, list, kind, at = null, follow = true }) {
  const [view, set] = useState(EMPTY);
  const mine = useRef({ view: EMPTY, turn: 0 });
  const name = `${path} ${JSON.stringify(params)} ${at}`;
  const show = (patch) => {
    mine.current.view = { ...mine.current.view, ...patch };
    set(mine.current.view);
  };
  const read = async (where, merge) => {
    const turn = mine.current.turn;
    show({ busy: true, error: null });
    try {
      const answer = await get(path, { ...params, ...where }, { keep: false });
      if (turn === mine.current.turn) show({ ...merge(answer, answer[list]), busy: false });
    } catch (error) {
      if (turn === mine.current.turn) show({ busy: false, error });
    }
  };
  const whole = (answer, rows) => ({ items: rows, begin: answer.begin, end: answer.end, ...known(answer) });
  const first = () => {
    mine.current.turn += 1;
    mine.current.view = EMPTY;
    return read(at === null ? {} : { offset: at }, whole);
  };
  const older = () => read({ before: mine.current.view.begin }, (answer, rows) => {
    const items = [...rows, ...mine.current.view.items];
    return { ...known(answer), ...cut(items, false), begin: answer.begin, partial: items.length > MOST ? null : mine.current.view.partial };
  });
  const newer = async () => {
    await read({ offset: mine.current.view.end }, (answer, rows) => ({
      ...known(answer), ...cut([...mine.current.view.items, ...rows], true), end: Math.max(answer.end, mine.current.view.end),
    }));
    const { size, end } = mine.current.view;
    if (size !== null && size < end) await first(); // another file took the name, or it was cut
  };
  useEffect(() => {
    first();
    return () => (mine.current.turn += 1);
  }, [name]);
  useEffect(() => onEvent((event) => {
    const mineToo = event.kind === "*" || (event.kind === kind && (event.run === run || event.run == null));
    if (mineToo && follow && !mine.current.view.busy && mine.current.view.state !== null) newer();
  }), [name, follow]);
  return { ...view, older, newer, again: first, search: (where) => get(path, { ...params, ...where }, { keep: false }) };
}

function known({ size, state, why, partial = null, whole = true, ...extra }) {
  return { size, state, why, partial, whole, extra };
}

// What is far away from where one reads is let go; it can be read again.
function cut(items, keepEnd) {
  if (items.length <= MOST) return { items };
  if (!keepEnd) {
    const kept = items.slice(0, MOST);
    return { items: kept, end: items[MOST].offset };
  }
  const kept = items.slice(-MOST);
  return { items: kept, begin: kept[0].offset };
}
