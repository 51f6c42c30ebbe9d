// The keyboard of a chart: arrows move a point, Page keys a tenth, Home and End to the ends, up and down change the
// series, Enter pins, Escape lets go.
import { cursor, pinned, togglePin } from "./chart_cursor.js";
import { attemptAt, nearestToStep } from "./chart_model.js";
import { spoken } from "./chart_readout.js";

/** Does what a key says; `say(text)` tells the new point. Whether the key meant anything. */
export function keyAction(event, { view, active, setActive, group, say }) {
  if (event.ctrlKey || event.metaKey || event.altKey || view.drawn.length === 0) return;
  const chosen = Math.min(active, view.drawn.length - 1);
  const next = move(event.key, view, chosen, group);
  if (next === null) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.key === "Enter" || event.key === " ") togglePin(next.at);
  else if (event.key === "Escape") pinned.value = null;
  cursor.value = event.key === "Escape" ? null : next.at;
  setActive(next.active);
  say(event.key === "Escape" ? "let go" : spoken(view, next.active, next.place, pinned.value === next.at));
}

function move(key, view, active, group) {
  const turned = { ArrowUp: -1, ArrowDown: 1 }[key] ?? 0;
  const chosen = (active + turned + view.drawn.length) % view.drawn.length;
  const { series } = view.drawn[chosen];
  const last = series.step.length - 1;
  const here = cursor.value?.group === group ? cursor.value : pinned.value?.group === group ? pinned.value : null;
  const place = here ? nearestToStep(series, here.step, here.attempt) : last;
  const far = Math.max(1, Math.round(last / 10));
  const to = {
    ArrowLeft: place - 1, ArrowRight: place + 1, PageUp: place - far, PageDown: place + far, Home: 0, End: last,
    ArrowUp: place, ArrowDown: place, Enter: place, " ": place, Escape: place,
  }[key];
  if (to === undefined) return null;
  const kept = Math.min(Math.max(to, 0), last);
  return { active: chosen, place: kept, at: { group, step: series.step[kept], attempt: attemptAt(series, kept).attempt } };
}
