// The browser's own dialog: it keeps the focus inside, closes by Esc and gives the focus back.
import { html, useId, useLayoutEffect, useRef } from "../html.js";

/** `open` shows it; `onClose()` is called however it was closed. */
export function Dialog({ open, title, onClose, wide = false, children }) {
  const box = useRef(null);
  const id = useId();
  // Before anything is painted: what is typed at once belongs to the dialog.
  useLayoutEffect(() => {
    const dialog = box.current;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return html`<dialog ref=${box} class=${wide ? "wide" : null} aria-labelledby=${id} onClose=${onClose}>
    ${open && html`<div class="dialog-head">
        <h2 id=${id}>${title}</h2>
        <button type="button" class="quiet" aria-label="Close" onClick=${() => box.current.close()}>✕</button>
      </div>
      <div class="dialog-body">${children}</div>`}
  </dialog>`;
}
