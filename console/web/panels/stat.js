// Large values with a sparkline of their history.

import { alpha, mix, prop } from "../lib/colours.js";
import { h } from "../lib/dom.js";
import { allEmpty, valuesOf } from "./values.js";

// spark draws values into a canvas as an area.
function spark(canvas, values, colour) {
  const { clientWidth: w, clientHeight: height } = canvas, r = devicePixelRatio;
  canvas.width = w * r;
  canvas.height = height * r;
  const known = values.filter((v) => v !== null);
  if (known.length < 2 || height < 8) return;
  const low = known.reduce((a, b) => Math.min(a, b)), high = known.reduce((a, b) => Math.max(a, b));
  const x = (i) => (i / (values.length - 1)) * w, y = (v) => (high === low ? height * 0.6 : height - 3 - ((v - low) / (high - low)) * (height - 6));
  const c = canvas.getContext("2d");
  c.scale(r, r);
  let run = [];
  const flush = () => {
    if (run.length > 1) {
      c.beginPath();
      run.forEach(([a, b], i) => (i ? c.lineTo(a, b) : c.moveTo(a, b)));
      c.strokeStyle = alpha(colour, 0.8);
      c.lineWidth = 1.5;
      c.stroke();
      c.lineTo(run.at(-1)[0], height);
      c.lineTo(run[0][0], height);
      c.fillStyle = alpha(colour, 0.15);
      c.fill();
    }
    run = [];
  };
  values.forEach((v, i) => (v === null ? flush() : run.push([x(i), y(v)])));
  flush();
}

export function create(body, env) {
  const box = h("div", { class: "stats" });
  const { options = {} } = env.panel;
  const { colorMode = "value", graphMode = "area", textMode = "auto", orientation = "auto", justifyMode = "auto" } = options;
  let redraw = () => {};
  const observer = new ResizeObserver(() => redraw());

  function draw(data) {
    const list = valuesOf(env.panel, data.frames);
    if (allEmpty(list)) return "empty";
    const before = new Map((data.history ?? []).map((f) => [`${f.refId} ${f.name}`, f.values]));
    const named = textMode === "value_and_name" || textMode === "name" || (textMode === "auto" && list.length > 1);
    const drawings = [];
    const chars = list.reduce((n, v) => Math.max(n, v.text.length), 4); // one font size for all, given by the longest value
    box.classList.toggle("down", orientation === "horizontal");
    box.classList.toggle("centre", justifyMode === "center" || (justifyMode === "auto" && list.length > 1));
    box.replaceChildren(...list.map((v) => {
      const filled = colorMode.startsWith("background");
      const values = before.get(v.key) ?? v.values;
      const graph = graphMode === "area" && values.length > 1 ? h("canvas", { "aria-hidden": "true" }) : null;
      if (graph) drawings.push(() => spark(graph, values, filled ? v.colour : colorMode === "none" ? prop("c8") : v.colour));
      return h("div", {
        class: filled ? "stat filled" : "stat",
        style: { "--value": colorMode === "none" ? prop("ink") : v.colour, "--fill": filled ? mix(prop("card"), v.colour, 0.22) : "transparent", "--chars": chars },
      }, graph, named && h("p", { class: "name", title: v.name }, v.name), textMode !== "name" && textMode !== "none" && h("p", { class: "value" }, v.text));
    }));
    if (!box.isConnected) {
      body.replaceChildren(box);
      observer.observe(box);
    }
    redraw = () => drawings.forEach((d) => d());
    redraw();
    return "ok";
  }
  return { draw, destroy: () => observer.disconnect() };
}
