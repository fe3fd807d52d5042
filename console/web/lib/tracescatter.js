// Trace durations over time. Each dot links to its trace. Tab focuses one dot, the arrow keys
// move to the others in order of time. A click selects the nearest dot.

import { h, s, clear } from "./dom.js";
import { nearest } from "./exemplars.js";
import { clock, dateTime, plural, seconds } from "./format.js";
import { clockTicks, colour } from "./trace.js";

const height = 190, left = 62, right = 14, top = 10, bottom = 24;

// scatter returns {element, draw}: call draw once it is in the page. A click on a dot
// calls open with its trace.
export function scatter(traces, { open, signal }) {
  const box = h("div", { class: "trace-scatter" });
  const tip = h("p", { class: "note trace-tip" }, "Each dot is a trace. Click or Enter opens it. Larger dots have more spans, ringed dots have errors.");
  const hint = tip.textContent;
  let width = 0;
  const draw = () => {
    const now = Math.floor(box.clientWidth);
    if (!now || now === width) return;
    width = now;
    clear(box).append(chart(traces, width, open, (t) => {
      tip.textContent = t ? describe(t) : hint;
    }));
  };
  const observer = new ResizeObserver(draw);
  observer.observe(box);
  signal.addEventListener("abort", () => observer.disconnect());
  return { element: h("section", { class: "card", "aria-label": "Trace durations over time" }, box, tip), draw };
}

const describe = (t) => `${dateTime(t.start / 1000, true)} · ${t.service} ${t.name} · ${seconds(t.duration / 1e6)} · ${plural(t.spans, "span")}${t.errors ? ` · ${plural(t.errors, "error")}` : ""}`;

function chart(traces, width, open, hover) {
  let from = Math.min(...traces.map((t) => t.start)), to = Math.max(...traces.map((t) => t.start));
  const padding = Math.max(500, (to - from) * 0.015);
  [from, to] = [from - padding, to + padding];
  const low = Math.log10(Math.max(1, Math.min(...traces.map((t) => t.duration))) * 0.8);
  const high = Math.max(Math.log10(Math.max(1, ...traces.map((t) => t.duration)) * 1.25), low + 0.3);
  const x = (t) => left + ((t - from) / (to - from)) * (width - left - right);
  const y = (d) => top + (1 - (Math.log10(Math.max(1, d)) - low) / (high - low)) * (height - top - bottom);
  const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `Durations of ${plural(traces.length, "trace")} over time. Arrow keys move between traces.` });
  for (const d of decades(low, high)) {
    svg.append(s("line", { class: "grid", x1: left, x2: width - right, y1: y(d), y2: y(d) }), s("text", { x: left - 8, y: y(d) + 4, "text-anchor": "end" }, seconds(d / 1e6, 2)));
  }
  const zone = new Date(from / 1000).getTimezoneOffset() * 60e6;
  for (const t of clockTicks(from, to, Math.max(2, Math.floor((width - left) / 110)), zone)) {
    const at = x(t);
    svg.append(s("line", { class: "grid", x1: at, x2: at, y1: top, y2: height - bottom }),
      s("text", { x: Math.min(at, width - 30), y: height - 7, "text-anchor": "middle" }, to - from > 2 * 86400e6 ? dateTime(t / 1000).slice(5, 16) : clock(t / 1000, to - from < 5e6)));
  }
  const most = Math.max(...traces.map((t) => t.spans));
  const dots = new Map();
  for (const t of [...traces].sort((a, b) => b.spans - a.spans)) {
    dots.set(t, s("a", { href: `/trace/${t.id}`, tabindex: "-1", "aria-label": describe(t), onfocus: () => hover(t), onblur: () => hover(null) },
      s("circle", { class: `dot svc-${colour(t.service)}${t.errors ? " error" : ""}`, cx: x(t.start), cy: y(t.duration), r: 3.5 + 5 * Math.sqrt(t.spans / Math.max(most, 12)), "data-id": t.id })));
  }
  svg.append(...dots.values());
  const order = [...traces].sort((a, b) => a.start - b.start);
  const move = (from, to) => {
    const next = order[Math.min(order.length - 1, Math.max(0, to))];
    dots.get(order[from]).setAttribute("tabindex", "-1");
    dots.get(next).setAttribute("tabindex", "0");
    dots.get(next).focus({ preventScroll: true });
  };
  dots.get(order.at(-1)).setAttribute("tabindex", "0");
  svg.addEventListener("keydown", (e) => {
    const i = order.findIndex((t) => dots.get(t) === e.target);
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: order.length - 1 }[e.key];
    if (i < 0 || to === undefined) return;
    e.preventDefault();
    move(i, to);
  });
  const under = (e) => {
    const box = svg.getBoundingClientRect();
    return order[nearest(order.map((t) => [x(t.start), y(t.duration)]), e.clientX - box.left, e.clientY - box.top)] ?? null;
  };
  svg.addEventListener("pointermove", (e) => {
    const t = under(e);
    svg.classList.toggle("near", t !== null);
    hover(t);
  });
  svg.addEventListener("pointerleave", () => hover(null));
  svg.addEventListener("click", (e) => {
    const t = e.target.closest("a") ? null : under(e);
    if (t) open(t);
  });
  return svg;
}

// decades returns the grid lines of a log axis: 1, 10, … and, if these are few, multiples
// in between.
function decades(low, high) {
  const list = [];
  for (const steps of [[1], [1, 3], [1, 2, 5], [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    list.length = 0;
    for (let p = Math.floor(low); p <= high; p++) for (const m of steps) if (Math.log10(m) + p >= low && Math.log10(m) + p <= high) list.push(m * 10 ** p);
    if (list.length >= 3) break;
  }
  return list;
}
