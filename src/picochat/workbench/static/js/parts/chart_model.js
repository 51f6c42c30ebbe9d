// What a chart knows of its series without drawing: places, ranges, rows, sentences. No number is computed here that
// an answer could contradict: values are looked up, never made.
import { bpb, bytes, count, duration, integer, number, percent } from "../format.js";

const DASHES = [[], [7, 3], [2, 3], [10, 3, 2, 3], [4, 4], [12, 4], [2, 6], [6, 2, 2, 2]];
const PADDING = 0.06;

/** The dash of the n-th series: series are told apart without their colour. */
export const dashOf = (index) => DASHES[index % DASHES.length];

/** Places of a series along x. */
export const placesOf = (series) => series.x ?? series.step;

/** A value in the words of its unit. */
export function valueText(unit, value) {
  if (unit === "bits a byte") return bpb(value);
  if (unit === "bytes") return bytes(value);
  if (unit.startsWith("share")) return percent(value);
  if (unit.endsWith("/s")) return count(value);
  return number(value);
}

/** A place on an axis in the words of its unit. */
export function placeText(axis, value) {
  if (axis.name === "step") return integer(value);
  if (axis.name === "tokens" || axis.name === "flops") return count(value);
  return axis.unit === "s" ? duration(value) : number(value);
}

/** `1,500 of 200,000 points`, and what is not among them. */
export function countText(series) {
  const { shown, window, usable, all } = series.points;
  const lost = [];
  if (series.dropped.non_positive) lost.push(`${integer(series.dropped.non_positive)} not above 0 left out`);
  if (series.dropped.non_finite) lost.push(`${integer(series.dropped.non_finite)} without a number left out`);
  if (series.dropped.backward) lost.push(`${integer(series.dropped.backward)} against the clock left out`);
  const whole = window === usable ? all : window;
  return [`${integer(shown)} of ${integer(whole)} points`, ...lost].join(", ");
}

/** One sentence a series: first, lowest (or highest) and last value with their steps. */
export function sentenceOf(series) {
  const { facts, label, unit, better } = series;
  if (!facts) return `${label}: no point here.`;
  const at = ({ value, step }) => `${valueText(unit, value)} at step ${integer(step)}`;
  const best = { lower: `, lowest ${at(facts.lowest)}`, higher: `, highest ${at(facts.highest)}` }[better] ?? "";
  return `${label}: from ${at(facts.first)} to ${at(facts.last)}${best}.`;
}

/** The place in a series' arrays that lies nearest to `x`, the newest attempt first; -1 in an empty one. */
export function nearestTo(series, x) {
  const places = placesOf(series);
  let found = -1;
  for (const { begin, end } of [...series.attempts].reverse()) {
    const at = nearestIn(places, begin, end, x);
    if (found < 0 || Math.abs(places[at] - x) < Math.abs(places[found] - x)) found = at;
  }
  return found;
}

/** The place of the point of a step, in the attempt that is asked for where it has one. */
export function nearestToStep(series, step, attempt = null) {
  const mine = series.attempts.filter((entry) => entry.attempt === attempt);
  const spans = mine.length ? mine : [...series.attempts].reverse();
  let found = -1;
  for (const { begin, end } of spans) {
    const at = nearestIn(series.step, begin, end, step);
    if (found < 0 || Math.abs(series.step[at] - step) < Math.abs(series.step[found] - step)) found = at;
  }
  return found;
}

function nearestIn(values, begin, end, wanted) {
  let low = begin;
  let high = end - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low > begin && wanted - values[low - 1] <= values[low] - wanted ? low - 1 : low;
}

/** The attempt of a place, and whether a later one repeated it. */
export function attemptAt(series, place) {
  const entry = series.attempts.find(({ begin, end }) => place >= begin && place < end);
  return { attempt: entry?.attempt ?? null, repeated: entry?.tail != null && place >= entry.tail };
}

/** What lies between the lowest and the highest value that is drawn, with a margin. Null where nothing is drawn. */
export function rangeOf(drawn, { outliers, logarithmic }) {
  let low = Infinity;
  let high = -Infinity;
  for (const { series } of drawn) {
    if (!series.facts) continue;
    const [inner, outer] = series.facts.without_outliers;
    low = Math.min(low, outliers ? series.facts.lowest.value : inner);
    high = Math.max(high, outliers ? series.facts.highest.value : outer);
  }
  if (low > high) return null;
  return logarithmic && low > 0 ? widenedByFactor(low, high) : widened(low, high);
}

function widened(low, high) {
  const margin = (high - low) * PADDING || Math.abs(high) * 0.1 || 1;
  return [low - margin, high + margin];
}

function widenedByFactor(low, high) {
  const factor = high > low ? (high / low) ** PADDING : 1.2;
  return [low / factor, high * factor];
}

/** Names of the columns of `rowsOf`: those of the CSV. */
export const COLUMNS = ["series", "attempt", "repeated", "x", "step", "tokens", "wall_s", "last", "smoothed", "min", "max"];

/** The points of all series as rows, the same as in the CSV. */
export function rowsOf(list) {
  return list.flatMap((series) => series.step.map((step, place) => rowAt(series, place)));
}

function rowAt(series, place) {
  const { attempt, repeated } = attemptAt(series, place);
  const last = series.last[place];
  return {
    id: `${series.key} ${place}`,
    series: series.key,
    attempt,
    repeated: repeated ? 1 : 0,
    x: placesOf(series)[place],
    step: series.step[place],
    tokens: series.tokens[place],
    wall_s: series.wall_s[place],
    last,
    smoothed: series.smooth ? series.smooth[place] : null,
    min: series.min ? series.min[place] : last,
    max: series.max ? series.max[place] : last,
  };
}

/** A point of each series at one step, as lines of a table that a spreadsheet takes. */
export function tsvOf(list, axis, at) {
  const rows = list.map((series) => [series, nearestToStep(series, at.step, at.attempt)]).filter(([, place]) => place >= 0);
  const lines = rows.map(([series, place]) => {
    const row = rowAt(series, place);
    return COLUMNS.map((column) => row[column] ?? "").join("\t");
  });
  return [COLUMNS.map((column) => (column === "x" ? axis.name : column)).join("\t"), ...lines].join("\n");
}
