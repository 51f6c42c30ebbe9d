// One cursor for all charts of a group: a step and its attempt, so that it stays at its point when the axis changes.
import { signal } from "../html.js";

/** Where the pointer or the keyboard is: `{group, step, attempt}` or null. */
export const cursor = signal(null);

/** What was pinned by a click or by Enter; stays until it is let go. */
export const pinned = signal(null);

/** The point that a group shows now: under the pointer, else pinned, else none. */
export function pointOf(group) {
  const here = [cursor.value, pinned.value].find((at) => at?.group === group);
  return here ?? null;
}

/** Pins a point, or lets go of the same one. */
export function togglePin(at) {
  const same = pinned.value && at && pinned.value.group === at.group && pinned.value.step === at.step;
  pinned.value = same ? null : at;
}
