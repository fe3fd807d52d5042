// The overview of a trace, where a drag selects a time range.

import { s, clear } from "./dom.js";
import { colour } from "./trace.js";

const height = 64, maxSpans = 400;

// minimap returns {element, view(from, to)}. choose receives the range, from 0 to 1.
export function minimap(trace, choose) {
  const at = (t) => (trace.duration ? (1000 * (t - trace.start)) / trace.duration : 0);
  // With thousands of spans, only every nth span and all errors are drawn.
  const every = Math.ceil(trace.spans.length / maxSpans);
  const rowHeight = Math.min(8, (height - 6) / trace.spans.length);
  const svg = s("svg", { class: "minimap", viewBox: `0 0 1000 ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": "Trace overview. Drag to zoom. Span details have a zoom button." });
  trace.spans.forEach((x, i) => {
    if (i % every && !x.error) return;
    svg.append(s("rect", { class: `svc-${colour(x.service)}${x.error ? " error" : ""}`, x: at(x.start), width: Math.max(1.5, at(x.end) - at(x.start)), y: 3 + i * rowHeight, height: Math.max(0.8, rowHeight * every * 0.75) }));
  });
  const shades = s("g");
  svg.append(shades);
  const shade = (from, to, kind) => s("rect", { class: kind, x: 1000 * from, width: Math.max(0, 1000 * (to - from)), y: 0, height });
  const view = (from, to) => clear(shades).append(shade(0, from, "shade"), shade(to, 1, "shade"));
  let dragStart = null, zoomed = [0, 1];
  const place = (e) => {
    const box = svg.getBoundingClientRect();
    return Math.min(1, Math.max(0, (e.clientX - box.left) / box.width));
  };
  svg.addEventListener("pointerdown", (e) => {
    if (e.button !== 0) return;
    dragStart = place(e);
    svg.setPointerCapture(e.pointerId);
  });
  svg.addEventListener("pointermove", (e) => {
    if (dragStart === null) return;
    const now = place(e);
    view(...zoomed);
    shades.append(shade(Math.min(dragStart, now), Math.max(dragStart, now), "drag"));
  });
  const end = (e) => {
    if (dragStart === null) return;
    const now = place(e), [from, to] = [Math.min(dragStart, now), Math.max(dragStart, now)];
    dragStart = null;
    if (e.type === "pointerup" && to - from > 0.005) choose(from, to);
    else view(...zoomed);
  };
  svg.addEventListener("pointerup", end);
  svg.addEventListener("pointercancel", end);
  return { element: svg, view(from, to) {
    zoomed = [from, to];
    view(from, to);
  } };
}
