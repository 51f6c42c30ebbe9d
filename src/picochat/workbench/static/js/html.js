// The one door to the vendored modules: markup, state, signals. Pages import from here, never from vendor/.
import { Component, Fragment, createContext, h, render } from "../vendor/preact.js";
import {
  useCallback, useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useState,
} from "../vendor/hooks.js";
import htm from "../vendor/htm.js";
import { batch, computed, effect, signal, untracked, useComputed, useSignal } from "../vendor/signals.js";

// Preact keeps `key` for itself. A part that names its rows by it (parts/table.js) gets it as `rowKey`.
function element(type, props, ...children) {
  if (typeof type === "function" && type.takesKey && props && props.key !== undefined) {
    const { key, ...rest } = props;
    return h(type, { rowKey: key, ...rest }, ...children);
  }
  return h(type, props, ...children);
}

/** Tagged template to elements. Text is always a text node: nothing of a run is ever read as markup. */
export const html = htm.bind(element);

export {
  Component, Fragment, batch, computed, createContext, effect, render, signal, untracked, useCallback, useComputed,
  useContext, useEffect, useId, useLayoutEffect, useMemo, useRef, useSignal, useState,
};
