// Numbers for people. The twin of views/formats.py: both are held by tests/golden/formats.json.

/** What is not known. */
export const UNKNOWN = "—";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86400;

function known(value) {
  return typeof value === "number" && Number.isFinite(value);
}

// Python rounds a tie to the even digit, JavaScript away from zero; toFixed is exact, so a tie can be seen.
function fixed(value, digits) {
  const size = Math.abs(value);
  const exact = size.toFixed(Math.min(100, digits + 40));
  const cut = exact.indexOf(".") + (digits ? digits + 1 : 0);
  let text = size.toFixed(digits);
  if (/^\.?50*$/.test(exact.slice(cut)) && Number(exact.slice(0, cut).at(-1)) % 2 === 0) text = exact.slice(0, cut);
  return value < 0 && Number(text) !== 0 ? `-${text}` : text;
}

function grouped(text) {
  const [whole, rest] = text.split(".");
  const commas = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return rest === undefined ? commas : `${commas}.${rest}`;
}

function trimmed(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

// `digits` significant digits for 0 or 1e-4 <= size < 10 ** digits, without zeros at the end: Python's `.3g`.
function significant(value, digits) {
  if (value === 0) return "0";
  const magnitude = Math.floor(Math.log10(Number(Math.abs(value).toPrecision(digits))));
  return trimmed(fixed(value, Math.max(0, digits - 1 - magnitude)));
}

// `1.5e-5`, with so many digits at most. A tie needs more digits than a double of that size has.
function power(value, digits) {
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  return `${trimmed(mantissa)}e${Number(exponent)}`;
}

// A moment without a zone is nobody's.
function instant(iso) {
  return typeof iso === "string" && /(Z|[+-]\d\d:?\d\d)$/.test(iso) ? Date.parse(iso) : NaN;
}

/** Bits a byte: 3 decimals. */
export function bpb(value) {
  return known(value) ? fixed(value, 3) : UNKNOWN;
}

/** A share and the number of things that it is a share of: `85.0 % (n = 120)`. */
export function rate(value, n = null) {
  return known(n) && known(value) ? `${percent(value)} (n = ${integer(n)})` : percent(value);
}

/** A share of 1: `85.0 %`. */
export function percent(value) {
  return known(value) ? `${fixed(value * 100, 1)} %` : UNKNOWN;
}

/** `22.4 B`, `1.78e20`: parameters, tokens, operations. */
export function count(value) {
  if (!known(value)) return UNKNOWN;
  if (Math.abs(value) >= 1e15) return power(value, 3);
  for (const [limit, scale, suffix] of [[1e12, 1e12, " T"], [1e9, 1e9, " B"], [1e6, 1e6, " M"], [1e4, 1e3, " k"]]) {
    if (Math.abs(value) >= limit) {
      const scaled = value / scale;
      return (Math.abs(scaled) < 999.5 ? significant(scaled, 3) : grouped(fixed(scaled, 0))) + suffix;
    }
  }
  return grouped(fixed(value, 0));
}

/** `1,234,567`. */
export function integer(value) {
  if (!known(value)) return UNKNOWN;
  return Math.abs(value) < 1e15 ? grouped(fixed(value, 0)) : count(value);
}

/** `2 h 13 m`, `45 s`, `3 d 4 h`. */
export function duration(seconds) {
  if (!known(seconds)) return UNKNOWN;
  if (seconds <= -0.05) return `-${duration(-seconds)}`;
  if (seconds < 9.95) return `${fixed(seconds, 1)} s`;
  const whole = Math.floor(seconds + 0.5);
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} m ${whole % MINUTE} s`;
  if (whole < 2 * DAY) return `${Math.floor(whole / HOUR)} h ${Math.floor((whole % HOUR) / MINUTE)} m`;
  return `${grouped(String(Math.floor(whole / DAY)))} d ${Math.floor((whole % DAY) / HOUR)} h`;
}

/** `$430.00`. A decimal text keeps its digits. */
export function money(amount) {
  if (typeof amount === "string") {
    const found = /^(-?)(\d+)(?:\.(\d+))?$/.exec(amount.trim());
    return found ? `${found[1]}$${grouped(`${found[2]}.${(found[3] ?? "").padEnd(2, "0")}`)}` : UNKNOWN;
  }
  if (!known(amount)) return UNKNOWN;
  const text = grouped(fixed(Math.abs(amount), 2));
  return amount < 0 && text !== "0.00" ? `-$${text}` : `$${text}`;
}

/** `1.5 KiB`. */
export function bytes(value) {
  if (!known(value)) return UNKNOWN;
  let scaled = value;
  for (const suffix of ["B", "KiB", "MiB", "GiB"]) {
    if (Math.abs(scaled) < 1024) return `${fixed(scaled, suffix === "B" ? 0 : 1)} ${suffix}`;
    scaled /= 1024;
  }
  return `${grouped(fixed(scaled, 1))} TiB`;
}

/** `5 m ago` of a moment (ISO 8601 text) or of an age in seconds. */
export function age(moment, now = Date.now()) {
  const seconds = typeof moment === "string" ? (now - instant(moment)) / 1000 : moment;
  if (!known(seconds)) return UNKNOWN;
  if (seconds < 1) return "now";
  if (seconds < MINUTE) return `${Math.floor(seconds)} s ago`;
  if (seconds < HOUR) return `${Math.floor(seconds / MINUTE)} m ago`;
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)} h ago`;
  return `${grouped(String(Math.floor(seconds / DAY)))} d ago`;
}

/** `2026-11-30 00:23 UTC`: the same words on every machine. */
export function time(iso) {
  const moment = instant(iso);
  return Number.isNaN(moment) ? UNKNOWN : `${new Date(moment).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

/** `00:23:10`, the time of day of an event, in UTC. */
export function clock(iso) {
  const moment = instant(iso);
  return Number.isNaN(moment) ? UNKNOWN : new Date(moment).toISOString().slice(11, 19);
}

/** Any figure: a whole one whole, else four significant digits, a power of ten when it is tiny or huge. */
export function number(value) {
  if (!known(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return power(value, 4);
  if (Number.isInteger(value) || size >= 9999.5) return grouped(fixed(value, 0));
  return grouped(significant(value, 4));
}

/** The first digits of a digest. */
export function digest(text) {
  return typeof text === "string" && text !== "" ? text.replace(/^sha256:/, "").slice(0, 12) : UNKNOWN;
}
