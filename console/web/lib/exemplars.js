// Exemplars of a chart: each links to its trace. Tab focuses one, the arrow keys move to the
// others. Each is 24 px wide for touch. Where they overlap, the one nearest to the pointer is
// on top.

import { h } from "./dom.js";
import { dateTime } from "./format.js";
import { show } from "./fields.js";

const tipLabels = ["service_name", "http_route", "http_request_method", "http_response_status_code", "soundcheck_loadgen_class"];

// nearest returns the index of the place [x, y] nearest to a point and within reach, or -1.
export function nearest(places, x, y, reach = 12) {
  let found = -1, minDistance = reach;
  places.forEach(([a, b], i) => {
    const distance = Math.max(Math.abs(a - x), Math.abs(b - y));
    if (distance <= minDistance) [found, minDistance] = [i, distance];
  });
  return found;
}

// size is half the height of an exemplar, in pixels.
const size = 6;

// inside returns the position of an exemplar that is wholly within a plot of a height: a value beyond the axis is at its end.
export const inside = (position, height) => Math.max(size, Math.min(height - size, position));

// exemplarLayer shows exemplars over a chart (the result of mount), and moves with it.
export function exemplarLayer(chart, scale, config) {
  const { u } = chart;
  const layer = h("div", { class: "exemplars", role: "group", "aria-label": "Exemplars" });
  u.over.append(layer);
  let list = [], links = [], shownTrace = null; // shownTrace: the trace in the tip

  const drawn = () => Number.isFinite(u.scales[scale]?.min);
  const top = (value) => inside(u.valToPos(Math.max(value, u.scales[scale].min), scale), u.bbox.height / devicePixelRatio); // 0 has no place on a logarithmic axis
  const place = () => {
    if (!drawn()) return;
    links.forEach((a, i) => {
      const { time, value } = list[i];
      const left = u.valToPos(time, "x");
      a.hidden = time < u.scales.x.min || time > u.scales.x.max;
      a.style.transform = `translate(${left}px, ${top(value)}px)`;
    });
  };
  const showTip = (i) => {
    const e = list[i];
    shownTrace = e.trace;
    chart.hold([
      h("p", { class: "when" }, dateTime(e.time * 1e3, true)),
      h("p", { class: "row" }, h("span", { class: "name" }, "exemplar"), h("b", null, show(config, e.value))),
      ...tipLabels.filter((n) => e.labels[n]).map((n) => h("p", { class: "row" }, h("span", { class: "name" }, n), h("b", null, e.labels[n]))),
      h("p", { class: "when mono" }, `trace ${e.trace.slice(0, 16)}… (Enter opens it)`),
    ], u.valToPos(e.time, "x"), top(e.value));
  };
  const release = () => {
    shownTrace = null;
    chart.release();
  };
  const focusLink = (from, to) => {
    const i = Math.min(links.length - 1, Math.max(0, to));
    links[from].tabIndex = -1;
    links[i].tabIndex = 0;
    links[i].focus({ preventScroll: true });
  };
  let near = -1, from = null; // index under the pointer; position of the press
  const raise = (i) => {
    if (i === near) return;
    links[near]?.classList.remove("near");
    near = i;
    links[near]?.classList.add("near");
    if (near >= 0) showTip(near);
    else release();
  };
  layer.addEventListener("pointermove", (e) => {
    const box = layer.getBoundingClientRect();
    raise(nearest(list.map((x) => [u.valToPos(x.time, "x"), top(x.value)]), e.clientX - box.left, e.clientY - box.top));
  });
  layer.addEventListener("pointerleave", () => raise(-1));
  // A drag over the chart may begin on an exemplar: then it does not open the trace.
  layer.addEventListener("mousedown", (e) => {
    from = [e.clientX, e.clientY];
    if (e.button === 0) u.over.dispatchEvent(new MouseEvent("mousedown", e)); // uPlot listens on its own element only
  });
  layer.addEventListener("click", (e) => {
    if (from && e.detail && Math.hypot(e.clientX - from[0], e.clientY - from[1]) > 5) e.preventDefault();
  });
  const fill = (exemplars) => {
    const before = shownTrace, focused = layer.contains(document.activeElement);
    list = exemplars;
    links = list.map((e, i) => h("a", {
      href: `/trace/${encodeURIComponent(e.trace)}`, class: "exemplar", tabindex: i === list.length - 1 ? "0" : "-1",
      "aria-label": `Exemplar: ${show(config, e.value)} at ${dateTime(e.time * 1e3)}`,
      draggable: "false", onfocus: () => showTip(i), onblur: release,
      onkeydown: (event) => {
        const to = { ArrowLeft: i - 1, ArrowRight: i + 1, Home: 0, End: list.length - 1 }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        focusLink(i, to);
      },
    }));
    layer.replaceChildren(...links);
    near = -1;
    place();
    // Removed links send no event: the tip moves to the same trace, or closes.
    const index = before ? list.findIndex((e) => e.trace === before) : -1;
    if (before && index < 0) release();
    else if (before && focused) focusLink(links.length - 1, index);
    else if (before) showTip(index);
  };
  return { fill, place };
}
