// The lines of a chart, drawn on uPlot's canvas: band of lowest and highest, raw, smoothed, repeated tails, seams,
// reference lines, marks of events, and the name at the end of each line.
import { dashOf, placesOf } from "./chart_model.js";

const RAW_ALPHA = 0.25;
const BAND_ALPHA = 0.14;
const REACH_ALPHA = 0.3;
const TAIL_ALPHA = 0.55;
const TAIL_DASH = [3, 3];
const DOTS_UP_TO = 60;
const MARK_SIZE = 4;
const LABEL_GAP = 12;

/** Draws a whole view on the context of a plot, once uPlot has drawn grid and axes. */
export function drawChart(plot, view, colours) {
  const { ctx } = plot;
  const box = plot.bbox;
  const ratio = devicePixelRatio || 1;
  const pen = {
    ctx, box, ratio, colours,
    x: (value) => plot.valToPos(value, "x", true),
    y: (value) => plot.valToPos(value, "y", true),
  };
  ctx.save();
  ctx.beginPath();
  ctx.rect(box.left, box.top, box.width, box.height);
  ctx.clip();
  drawReferences(pen, view);
  drawSeams(pen, view);
  drawMarks(pen, view);
  for (const { series, hue } of view.drawn) drawSeries(pen, series, hue);
  ctx.restore();
  ctx.save();
  drawEnds(pen, view);
  ctx.restore();
}

function drawSeries(pen, series, hue) {
  const { ctx, ratio, colours } = pen;
  const places = placesOf(series);
  const colour = colours.series[hue % colours.series.length];
  ctx.strokeStyle = ctx.fillStyle = colour;
  ctx.lineJoin = "round";
  for (const { begin, end, tail } of series.attempts) {
    if (series.min) band(pen, places, series, begin, end);
    const cut = tail ?? end;
    const raw = series.smooth ? RAW_ALPHA : 1;
    stroke(pen, places, series.last, begin, cut, { alpha: raw, dash: series.smooth ? [] : dashOf(hue) });
    // The line goes on into its tail, so that both stretches meet.
    if (cut < end) stroke(pen, places, series.last, Math.max(begin, cut - 1), end, { alpha: raw * TAIL_ALPHA, dash: TAIL_DASH });
    if (series.smooth) {
      stroke(pen, places, series.smooth, begin, cut, { alpha: 1, dash: dashOf(hue), width: 1.8 });
      if (cut < end) stroke(pen, places, series.smooth, Math.max(begin, cut - 1), end, { alpha: TAIL_ALPHA, dash: TAIL_DASH, width: 1.8 });
    }
  }
  if (series.step.length > DOTS_UP_TO || series.smooth) return;
  ctx.globalAlpha = 1;
  for (let place = 0; place < places.length; place += 1) {
    ctx.beginPath();
    ctx.arc(pen.x(places[place]), pen.y(series.last[place]), 2 * ratio, 0, 2 * Math.PI);
    ctx.fill();
  }
}

function stroke({ ctx, ratio, x, y }, places, values, begin, end, { alpha, dash, width = 1.3 }) {
  ctx.globalAlpha = alpha;
  ctx.lineWidth = width * ratio;
  ctx.setLineDash(dash.map((length) => length * ratio));
  ctx.beginPath();
  let on = false;
  for (let place = begin; place < end; place += 1) {
    if (values[place] === null) {
      on = false;
      continue;
    }
    const [across, up] = [x(places[place]), y(values[place])];
    if (on) ctx.lineTo(across, up);
    else ctx.moveTo(across, up);
    on = true;
  }
  ctx.stroke();
  ctx.setLineDash([]);
}

// Lowest to highest of each bucket: a spike of one point stays to be seen among 200,000.
function band({ ctx, ratio, x, y }, places, series, begin, end) {
  ctx.globalAlpha = BAND_ALPHA;
  ctx.beginPath();
  for (let place = begin; place < end; place += 1) ctx.lineTo(x(places[place]), y(series.max[place]));
  for (let place = end - 1; place >= begin; place -= 1) ctx.lineTo(x(places[place]), y(series.min[place]));
  ctx.closePath();
  ctx.fill();
  ctx.globalAlpha = REACH_ALPHA;
  ctx.lineWidth = ratio;
  ctx.beginPath();
  for (let place = begin; place < end; place += 1) {
    const across = x(places[place]);
    ctx.moveTo(across, y(series.min[place]));
    ctx.lineTo(across, y(series.max[place]));
  }
  ctx.stroke();
}

function drawReferences({ ctx, box, ratio, colours, x, y }, view) {
  ctx.font = scaled(colours.font, ratio);
  ctx.textBaseline = "alphabetic";
  for (const { axis, kind, label, value } of view.references) {
    ctx.globalAlpha = 1;
    ctx.strokeStyle = ctx.fillStyle = kind === "threshold" ? colours.block : colours.muted;
    ctx.lineWidth = ratio;
    ctx.setLineDash(kind === "baseline" ? [1 * ratio, 3 * ratio] : [8 * ratio, 4 * ratio]);
    ctx.beginPath();
    if (axis === "y") {
      const up = Math.round(y(value)) + 0.5;
      if (up < box.top || up > box.top + box.height) continue;
      ctx.moveTo(box.left, up);
      ctx.lineTo(box.left + box.width, up);
      // Baselines are named at the right, what is of this run further left: a threshold often is a baseline.
      ctx.textAlign = "right";
      ctx.fillText(label, box.left + box.width * (kind === "baseline" ? 1 : 0.72) - 4 * ratio, up - 4 * ratio);
    } else {
      const across = Math.round(x(value)) + 0.5;
      if (across < box.left || across > box.left + box.width) continue;
      ctx.moveTo(across, box.top);
      ctx.lineTo(across, box.top + box.height);
      ctx.textAlign = "right";
      ctx.fillText(label, across - 4 * ratio, box.top + 11 * ratio);
    }
    ctx.stroke();
    ctx.setLineDash([]);
  }
}

function drawSeams({ ctx, box, ratio, colours, x }, view) {
  ctx.font = scaled(colours.font, ratio);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = ctx.fillStyle = colours.warn;
  ctx.lineWidth = ratio;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  for (const seam of view.seams) {
    if (seam.x === null) continue;
    const across = Math.round(x(seam.x)) + 0.5;
    ctx.setLineDash([4 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(across, box.top);
    ctx.lineTo(across, box.top + box.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.fillText(`attempt ${seam.attempt}`, across + 4 * ratio, box.top + 22 * ratio);
  }
}

// A shape a kind at the foot of the plot: checkpoint square, validation ring, what went wrong a triangle.
function drawMarks({ ctx, box, ratio, colours, x }, view) {
  const size = MARK_SIZE * ratio;
  const foot = box.top + box.height - size - 2 * ratio;
  ctx.globalAlpha = 1;
  ctx.lineWidth = ratio;
  for (const mark of view.marks) {
    if (mark.x === null) continue;
    const across = x(mark.x);
    ctx.beginPath();
    if (mark.kind === "checkpoint_saved") {
      ctx.fillStyle = colours.muted;
      ctx.rect(across - size / 2, foot - size / 2, size, size);
      ctx.fill();
    } else if (mark.kind === "eval") {
      ctx.strokeStyle = colours.muted;
      ctx.arc(across, foot, size / 2, 0, 2 * Math.PI);
      ctx.stroke();
    } else {
      ctx.fillStyle = mark.kind === "warning" ? colours.warn : colours.block;
      ctx.moveTo(across, foot - size);
      ctx.lineTo(across + size, foot + size / 2);
      ctx.lineTo(across - size, foot + size / 2);
      ctx.closePath();
      ctx.fill();
    }
  }
}

// The name of a line at its end, pushed apart where ends lie close together.
function drawEnds({ ctx, box, ratio, colours, x, y }, view) {
  if (!view.labelled) return;
  ctx.font = scaled(colours.font, ratio);
  ctx.textBaseline = "middle";
  ctx.textAlign = view.inside ? "right" : "left";
  const aside = view.inside ? -4 : 6;
  const above = view.inside ? LABEL_GAP * ratio : 0;
  const inside = (value, low, length) => Math.min(Math.max(value, low), low + length);
  const ends = view.drawn.filter(({ series }) => series.step.length > 0).map(({ series, hue }) => {
    const place = series.step.length - 1;
    const value = (series.smooth ?? series.last)[place];
    return { hue, text: series.label, x: inside(x(placesOf(series)[place]), box.left, box.width), y: inside(y(value) - above, box.top, box.height) };
  }).sort((a, b) => a.y - b.y);
  let last = -Infinity;
  for (const end of ends) {
    last = Math.max(end.y, last + LABEL_GAP * ratio);
    ctx.fillStyle = colours.series[end.hue % colours.series.length];
    ctx.fillText(end.text, end.x + aside * ratio, last);
  }
}

function scaled(font, ratio) {
  return font.replace(/^(\d+)px/, (_, size) => `${Number(size) * ratio}px`);
}
