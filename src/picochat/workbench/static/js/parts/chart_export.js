// A chart as a file: CSV from the server, JSON, SVG and PNG made here from what is drawn.
import { html } from "../html.js";
import { address } from "../api.js";
import { announce } from "../store.js";
import { colours } from "./chart_colours.js";
import { drawSvg } from "./chart_svg.js";

/** `source`: `{path, params, name}` of the answer that the chart shows. */
export function ChartExport({ plot, view, title, source, told }) {
  const save = (kind, make) => async () => {
    const blob = await make();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${source.name}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    announce(`${link.download} saved`);
  };
  const json = () => new Blob([JSON.stringify({ title, axis: view.axis, seams: view.seams, series: view.drawn.map(({ series }) => series) })], { type: "application/json" });
  const svg = () => new Blob([drawSvg(view, title, told, colours.value)], { type: "image/svg+xml" });
  return html`<span class="exports" role="group" aria-label=${`Save ${title}`}>
    <a class="button" href=${address(`${source.path}.csv`, source.params)} download=${`${source.name}.csv`}>CSV</a>
    <button type="button" onClick=${save("json", json)}>JSON</button>
    <button type="button" onClick=${save("svg", svg)}>SVG</button>
    <button type="button" disabled=${!plot} onClick=${save("png", () => pngOf(plot, title))}>PNG</button>
  </span>`;
}

/** The canvas as it is seen, on the ground of the page and with its title. */
function pngOf(plot, title) {
  const { canvas } = plot;
  const ratio = devicePixelRatio || 1;
  const head = 28 * ratio;
  const sheet = document.createElement("canvas");
  sheet.width = canvas.width;
  sheet.height = canvas.height + head;
  const ctx = sheet.getContext("2d");
  ctx.fillStyle = colours.value.surface;
  ctx.fillRect(0, 0, sheet.width, sheet.height);
  ctx.fillStyle = colours.value.text;
  ctx.font = colours.value.font.replace(/^\d+px/, `${13 * ratio}px`);
  ctx.fillText(title, 8 * ratio, 19 * ratio);
  ctx.drawImage(canvas, 0, head);
  return new Promise((done) => sheet.toBlob(done, "image/png"));
}
