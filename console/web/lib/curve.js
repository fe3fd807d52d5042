// A small uPlot chart over the time of a run. Without data it draws nothing.

import { h } from "./dom.js";
import { css } from "./theme.js";

// curve draws lines {name, values, colour} over xs, in seconds. format formats a value.
// It returns an element that redraws itself when the theme or the width changes.
export function curve(title, xs, lines, { format, signal, height = 200, fill = false }) {
  const box = h("div", { class: "curve", role: "img", "aria-label": `${title}: ${lines.map((l) => l.name).join(", ")}`, style: { "min-height": `${height + 29}px` } });
  let plot = null;
  const draw = () => {
    plot?.destroy();
    plot = null;
    if (!box.clientWidth) return;
    const axis = { stroke: css("muted"), grid: { stroke: css("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
    plot = new uPlot({
      width: box.clientWidth, height, cursor: { y: false }, legend: { live: true }, scales: { x: { time: false }, y: { range: (u, low, high) => [0, high > 0 ? high * 1.05 : 1] } },
      axes: [{ ...axis, size: 28, values: (u, ticks) => ticks.map((t) => `${t} s`) }, { ...axis, size: 68, values: (u, ticks) => ticks.map((t) => format(t)) }],
      series: [{ label: "time", value: (u, v) => (v === null ? "–" : `${v} s`) }, ...lines.map((l) => ({
        label: l.name, stroke: css(l.colour), width: 1.5, fill: fill ? `${css(l.colour)}22` : undefined, points: { show: xs.length < 3 }, value: (u, v) => (v === null || v === undefined ? "–" : format(v)),
      }))],
    }, [xs, ...lines.map((l) => l.values)], box);
  };
  queueMicrotask(draw); // by then the element is in the document
  const observer = new ResizeObserver(() => {
    if (plot?.width !== box.clientWidth) draw();
  });
  observer.observe(box);
  document.addEventListener("theme", draw, { signal });
  signal.addEventListener("abort", () => {
    observer.disconnect();
    plot?.destroy();
  });
  return box;
}
