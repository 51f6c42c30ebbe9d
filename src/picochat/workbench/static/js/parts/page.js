// What a page is made of: one heading, sections, facts, tabs.
import { html, useEffect, useLayoutEffect, useRef } from "../html.js";
import { href, route, visits } from "../router.js";

const PRODUCT = "Picochat";
let focused = visits.peek();

/** The h1 of a page. It names the window and takes the focus when the page was gone to. */
export function PageHead({ title, run = null, children = null, aside = null }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = [title, run === title ? null : run, PRODUCT].filter(Boolean).join(" · ");
  }, [title, run]);
  useLayoutEffect(() => {
    if (focused === visits.peek()) return;
    focused = visits.peek();
    scrollTo(0, 0);
    heading.current.focus({ preventScroll: true });
  }, []);
  return html`<header class="page-head">
    <h1 tabindex="-1" ref=${heading}>${title}</h1>
    ${children && html`<div class="page-note">${children}</div>`} ${aside && html`<div class="page-aside">${aside}</div>`}
  </header>`;
}

/** A part of a page with its h2; `aside` stands at the right of it. */
export function Section({ id, title, aside = null, children }) {
  return html`<section aria-labelledby=${`${id}-title`} id=${id}>
    <div class="section-head"><h2 id=${`${id}-title`}>${title}</h2>${aside && html`<div class="aside">${aside}</div>`}</div>
    ${children}
  </section>`;
}

/** Pairs of [label, value]; a value of null is a dash. A third entry stands small below the value. */
export function Facts({ items, wide = false }) {
  return html`<dl class=${wide ? "facts wide" : "facts"}>
    ${items.map(([label, value, note]) => html`<div key=${label}>
      <dt>${label}</dt>
      <dd>${value ?? "—"}${note && html`<span class="fact-note">${note}</span>`}</dd>
    </div>`)}
  </dl>`;
}

/**
 * Links between views of one page: `items` of `{key, title, note?, href?}`. Without an href a link sets `param` in the
 * address of this page, so that the view can be shared.
 */
export function Tabs({ items, current, label, param = "tab" }) {
  const { page, run, query } = route.value;
  return html`<nav class="tabs" aria-label=${label}>
    <ul>${items.map((item) => html`<li key=${item.key}>
      <a href=${item.href ?? href(page, { run, query: { ...query, [param]: item.key } })}
        aria-current=${item.key === current ? "page" : null}>${item.title}${item.note !== undefined &&
        item.note !== null && html`<span class="tab-note">${item.note}</span>`}</a>
    </li>`)}</ul>
  </nav>`;
}
