// A value on an arc. The rim shows the thresholds.

import { colour, prop } from "../lib/colours.js";
import { h, s } from "../lib/dom.js";
import { steps } from "../lib/fields.js";
import { withUnit } from "../lib/format.js";
import { allEmpty, valuesOf } from "./values.js";

const from = -210, sweep = 240; // degrees, clockwise from the right

// arc returns the path of an arc around (100, 100) between two shares of the sweep.
export function arc(radius, a, b) {
  const point = (share) => {
    const angle = ((from + sweep * share) * Math.PI) / 180;
    return `${(100 + radius * Math.cos(angle)).toFixed(2)} ${(100 + radius * Math.sin(angle)).toFixed(2)}`;
  };
  return `M ${point(a)} A ${radius} ${radius} 0 ${(b - a) * sweep > 180 ? 1 : 0} 1 ${point(b)}`;
}

// shareOf returns the position of a value between its bounds, from 0 to 1.
export const shareOf = (v, min, max) => (v === null ? 0 : Math.min(1, Math.max(0, (v - min) / (max - min))));

const line = (d, stroke, width, title) => s("path", { d, stroke, "stroke-width": width, fill: "none" }, title && s("title", null, title));

export function create(body, env) {
  const box = h("div", { class: "gauges" });
  const { showThresholdMarkers = true, showThresholdLabels = false } = env.panel.options ?? {};
  const one = (v, many) => {
    const at = shareOf(v.value, v.min, v.max);
    const list = steps(v.config, v.min, v.max);
    const rim = list.map((t, i) => [shareOf(Math.max(v.min, t.value), v.min, v.max), i + 1 < list.length ? shareOf(list[i + 1].value, v.min, v.max) : 1, t]);
    const labels = list.filter((t) => Number.isFinite(t.value)).map((t) => withUnit(t.value, v.config.unit, v.config.decimals ?? null)).join(", ");
    return h("div", { class: "gauge", role: "meter", "aria-label": many ? v.name : env.title, "aria-valuenow": v.value ?? v.min, "aria-valuemin": v.min, "aria-valuemax": v.max, "aria-valuetext": v.text },
      s("svg", { viewBox: "0 0 200 168", "aria-hidden": "true" },
        line(arc(76, 0, 1), prop("hover"), 20), at > 0.001 && line(arc(76, 0, at), v.colour, 20),
        showThresholdMarkers && rim.map(([a, b, t]) => b > a && line(arc(92, a, b), colour(t.color), 5, `from ${withUnit(Math.max(v.min, t.value), v.config.unit)}`)),
        s("text", { x: 100, y: 112, "text-anchor": "middle", fill: v.colour, "font-size": Math.min(34, Math.round(180 / v.text.length)), "font-weight": 650 }, v.text)),
      many && h("p", { class: "name", title: v.name }, v.name),
      showThresholdLabels && h("p", { class: "note" }, `thresholds: ${labels}`));
  };
  function draw(data) {
    const list = valuesOf(env.panel, data.frames);
    if (allEmpty(list)) return "empty";
    box.replaceChildren(...list.map((v) => one(v, list.length > 1)));
    if (!box.isConnected) body.replaceChildren(box);
    return "ok";
  }
  return { draw, destroy() {} };
}
