// uPlot charts over time: axes, shared cross-hair, zoom by drag, resizing and keyboard.

import { layer as annotationLayer, tipRows } from "./annotations.js";
import { logTicks, powerTicks } from "./buckets.js";
import { prop } from "./colours.js";
import { h } from "./dom.js";
import { ticks } from "./fields.js";

const two = (n) => String(n).padStart(2, "0");

// timeTicks returns the labels of the time axis for splits that are spacing seconds apart.
export function timeTicks(splits, spacing) {
  let day = null;
  return splits.map((t) => {
    const d = new Date(t * 1e3), date = `${two(d.getMonth() + 1)}-${two(d.getDate())}`;
    const time = `${two(d.getHours())}:${two(d.getMinutes())}${spacing < 60 ? `:${two(d.getSeconds())}` : ""}`;
    const fresh = day !== null && day !== date;
    day = date;
    if (spacing >= 86400) return date;
    return fresh ? `${time}\n${date}` : time;
  });
}

const font = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

export function timeAxis() {
  // The date is below the time.
  const size = (_, texts) => (texts?.some((t) => t.includes("\n")) ? 44 : 30);
  return { stroke: prop("muted"), font, size, gap: 4, space: 64, grid: { stroke: prop("line"), width: 1 }, ticks: { show: false }, values: (_, splits, __, ___, spacing) => timeTicks(splits, spacing) };
}

// binary are the label increments for sizes in bytes.
const binary = Array.from({ length: 60 }, (_, i) => 2 ** i);

// valueAxis returns an axis for values in a unit.
export function valueAxis({ scale, unit, decimals, label, side = 3, grid = true, log = false }) {
  const isBinary = unit === "bytes" || unit === "binBps";
  return {
    scale, side, font, stroke: prop("muted"), gap: 6, space: 34, ticks: { show: false },
    grid: { show: grid, stroke: prop("line"), width: 1 },
    label: label || undefined, labelFont: font, labelSize: 18, labelGap: 0,
    ...(isBinary ? { incrs: binary } : {}),
    ...(log ? { splits: (u, _, min, max) => (isBinary ? powerTicks : logTicks)(min, max, Math.max(3, Math.floor((u.height - 40) / 26))), filter: (_, list) => list } : {}),
    values: (_, list) => ticks(list, unit, decimals),
    size(u, texts, i, cycle) {
      const axis = u.axes[i];
      if (cycle > 1) return axis._size;
      u.ctx.save();
      u.ctx.font = axis.font[0] ?? font;
      const widest = Math.max(0, ...(texts ?? []).map((t) => u.ctx.measureText(t).width));
      u.ctx.restore();
      return Math.ceil(widest / devicePixelRatio) + 14;
    },
  };
}

// mount draws a chart into el and follows its size. env: {start, end, sync, zoom(from,
// to), tip(u, idx) → elements or null, label, annotations() → list}. It returns {u, hold, release, destroy}.
export function mount(el, options, data, env) {
  const tip = h("div", { class: "tip", hidden: true });
  let over = false, marks = null;
  const current = () => env.annotations?.() ?? [];
  const extra = (u) => tipRows(current(), u.posToVal(u.cursor.left, "x"), 4 / Math.max(1, u.over.clientWidth) * (env.end - env.start));
  const place = (u) => {
    const { left, top, idx } = u.cursor;
    const content = over && left >= 0 && !tip.dataset.held ? env.tip(u, idx) : null;
    if (!content) {
      if (!tip.dataset.held) tip.hidden = true;
      return;
    }
    tip.replaceChildren(...content, ...extra(u));
    tip.hidden = false;
    put(u, left, top);
  };
  const put = (u, left, top) => {
    const x = u.over.offsetLeft + left, y = u.over.offsetTop + top, wide = el.clientWidth;
    const flip = x + 16 + tip.offsetWidth > wide && x > wide / 2;
    tip.style.left = `${Math.max(0, Math.min(wide - tip.offsetWidth, flip ? x - 16 - tip.offsetWidth : x + 16))}px`;
    tip.style.top = `${Math.min(Math.max(-8, y - tip.offsetHeight / 2), Math.max(-8, u.over.offsetTop + u.over.offsetHeight - tip.offsetHeight))}px`;
  };
  const size = () => ({ width: Math.max(60, el.clientWidth), height: Math.max(60, el.clientHeight) });
  // Half of the last time label may be right of the chart: with seconds it is wider.
  const rightPadding = (_, __, axes) => (axes[1] ? 12 : env.end - env.start < 600 ? 28 : 18);
  const u = new uPlot({
    ...options, ...size(), legend: { show: false }, padding: [8, rightPadding, 0, 4],
    cursor: {
      y: false, points: { size: 7, width: 2 }, drag: { x: true, y: false, setScale: false, dist: 6 }, bind: { dblclick: () => null },
      sync: { key: env.sync, setSeries: false, scales: ["x", null], filters: { pub: (type) => type === "mousemove" || type === "mouseleave", sub: () => true } },
      ...options.cursor,
    },
    scales: { x: { time: true, range: () => [env.start, env.end] }, ...options.scales },
    hooks: {
      ...options.hooks,
      drawClear: [...(options.hooks?.drawClear ?? []), (c) => {
        marks ??= annotationLayer(c, current);
        marks.behind();
      }],
      draw: [...(options.hooks?.draw ?? []), () => marks?.place()],
      setCursor: [place],
      setSelect: [(c) => {
        if (c.select.width < 6) return;
        const from = c.posToVal(c.select.left, "x"), to = c.posToVal(c.select.left + c.select.width, "x");
        c.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        env.zoom(from, to);
      }],
    },
  }, data, el);
  el.append(tip);
  u.over.addEventListener("mouseenter", () => (over = true));
  u.over.addEventListener("mouseleave", () => {
    over = false;
    place(u);
  });
  u.over.addEventListener("dblclick", () => env.zoomOut());
  u.root.tabIndex = 0;
  u.root.setAttribute("role", "img");
  u.root.setAttribute("aria-label", `${env.label}. Arrow keys move the cross-hair.`);
  u.root.addEventListener("keydown", (e) => {
    if (e.target !== u.root) return;
    const n = u.data[0].length - 1, i = u.cursor.idx ?? n;
    const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: n }[e.key];
    if (e.key === "Escape") over = false;
    else if (to === undefined) return;
    else over = true;
    e.preventDefault();
    const at = Math.min(n, Math.max(0, to ?? i));
    u.setCursor({ left: over ? u.valToPos(u.data[0][at], "x") : -10, top: u.over.clientHeight / 3 }, true, true); // the other charts too
  });
  u.root.addEventListener("blur", () => {
    if (!over) return;
    over = false;
    u.setCursor({ left: -10, top: -10 }, true, true);
  });
  const observer = new ResizeObserver(() => {
    const { width, height } = size();
    if (width !== u.width || height !== u.height) u.setSize({ width, height });
  });
  observer.observe(el);
  const refresh = () => u.redraw(false);
  document.addEventListener("annotations", refresh);
  return {
    u,
    // hold shows given content in the tip, at a position of the chart, until release.
    hold(content, left, top) {
      tip.dataset.held = "true";
      tip.replaceChildren(...content);
      tip.hidden = false;
      put(u, left, top);
    },
    release() {
      delete tip.dataset.held;
      place(u);
    },
    destroy() {
      observer.disconnect();
      document.removeEventListener("annotations", refresh);
      u.destroy();
      tip.remove();
    },
  };
}
