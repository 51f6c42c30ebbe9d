// What is shown, as a text to copy or to keep: it is masked and cleaned already.
import { html } from "../html.js";
import { CopyButton } from "../parts/command.js";

/** Copies and downloads `text()`, which is asked at the moment of the click. */
export function Export({ text, name }) {
  const download = () => {
    const url = URL.createObjectURL(new Blob([text()], { type: "text/plain;charset=utf-8" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  return html`<span class="export-shown"><${CopyButton} text=${text} label="Copy shown" what="Copied what is shown" />
    <button type="button" class="copy" onClick=${download}>Download shown</button></span>`;
}
