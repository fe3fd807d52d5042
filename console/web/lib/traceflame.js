// The flame graph of a trace: one bar for each path, a chain of services and operations. The width
// of a bar is the self time of its spans and of all below it. Time during which spans run side by
// side counts for each of them, so that the bars of a parent's children never exceed it.

import { h, clear } from "./dom.js";
import { plural, seconds } from "./format.js";
import { colour, selfTime } from "./trace.js";
import { table } from "./ui.js";

// flame merges the spans of a trace by path, and returns the nodes in depth-first order: {service,
// name, kind, parent, children, depth, spans, self, total, width, errors}. Times are in
// microseconds. Children are in the order of their first span.
export function flame(trace) {
  const nodes = [], tops = new Map(), of = new Map();
  for (const span of trace.spans) {
    const parent = span.parent ? of.get(span.parent) : null;
    const siblings = parent ? parent.byKey : tops;
    const key = JSON.stringify([span.service, span.name, span.kind]);
    let node = siblings.get(key);
    if (!node) {
      node = { service: span.service, name: span.name, kind: span.kind, parent, children: [], depth: parent ? parent.depth + 1 : 0, spans: [], self: 0, total: 0, width: 0, errors: 0, byKey: new Map() };
      siblings.set(key, node);
      if (parent) parent.children.push(node);
    }
    of.set(span, node);
    node.spans.push(span);
    node.self += selfTime(span);
    node.total += span.duration;
    if (span.error) node.errors++;
  }
  const stack = [...tops.values()].reverse();
  while (stack.length) {
    const node = stack.pop();
    nodes.push(node);
    stack.push(...[...node.children].reverse());
  }
  for (const node of nodes.toReversed()) {
    node.width += node.self;
    if (node.parent) node.parent.width += node.width;
  }
  return nodes;
}

const rowHeight = 24, narrowest = 0.0008;

// flameView returns {element}. spansOf(node) shows the spans of its service and operation.
export function flameView(trace, { spansOf }) {
  const nodes = flame(trace);
  const all = nodes.reduce((sum, n) => sum + n.self, 0) || 1;
  const bars = h("div", { class: "flame-bars", role: "tree", "aria-label": "Flame graph. Arrow keys move, Enter zooms, Escape resets the zoom." });
  const tip = h("div", { class: "tip flame-tip", hidden: true, "aria-hidden": "true" });
  const about = h("p", { class: "flame-about" });
  const note = h("p", { class: "note" });
  const reset = h("button", { type: "button", hidden: true, onclick: () => zoom(null) }, "Reset zoom");
  const spans = h("button", { type: "button", onclick: () => spansOf(current) }, "Show spans of this operation");
  let current = nodes[0], zoomed = null, drawn = new Map();

  const share = (us) => `${((100 * us) / all).toFixed(us && us < all / 100 ? 2 : 1)} %`;
  const describe = (n) => `${n.service} ${n.name}: ${plural(n.spans.length, "span")}, self time ${seconds(n.self / 1e6)} (${share(n.self)}), with children ${share(n.width)}, sum of durations ${seconds(n.total / 1e6)}${n.errors ? `, ${n.errors} failed` : ""}`;

  function bar(node, left, width) {
    const b = h("div", {
      class: `flame-bar svc-${colour(node.service)}${node.errors ? " error" : ""}${zoomed && node !== zoomed && node.depth < zoomed.depth ? " above" : ""}`,
      role: "treeitem", tabindex: node === current ? "0" : "-1", "aria-level": node.depth + 1, "aria-label": describe(node), "aria-selected": String(node === zoomed),
      style: { left: `${100 * left}%`, width: `${100 * width}%`, top: `${node.depth * rowHeight}px` },
    }, h("span", null, node.errors ? "✕ " : "", h("b", null, node.service), ` ${node.name}`));
    drawn.set(node, b);
    return b;
  }

  function draw() {
    drawn = new Map();
    let left = 0, hidden = 0;
    const list = [];
    const below = (tops, from, scale) => {
      const stack = [];
      for (const n of tops) {
        stack.push([n, from]);
        from += n.width * scale;
      }
      stack.reverse();
      while (stack.length) {
        const [n, at] = stack.pop();
        const width = n.width * scale;
        if (width < narrowest && n !== current) {
          hidden++;
          continue;
        }
        list.push(bar(n, at, Math.max(width, narrowest)));
        let next = at;
        const children = n.children.map((c) => {
          const entry = [c, next];
          next += c.width * scale;
          return entry;
        });
        stack.push(...children.reverse());
      }
    };
    if (zoomed) {
      const chain = [];
      for (let n = zoomed.parent; n; n = n.parent) chain.unshift(n);
      list.push(...chain.map((n) => bar(n, 0, 1)));
      below([zoomed], left, zoomed.width ? 1 / zoomed.width : 0);
    } else below(nodes.filter((n) => !n.parent), left, 1 / all);
    if (!drawn.has(current)) { // below a bar that is too narrow
      while (current && !drawn.has(current)) current = current.parent;
      current ??= [...drawn.keys()][0];
      drawn.get(current)?.setAttribute("tabindex", "0");
    }
    const had = bars.contains(document.activeElement);
    clear(bars).append(...list);
    bars.style.setProperty("height", `${rowHeight * (1 + Math.max(...[...drawn.keys()].map((n) => n.depth)))}px`);
    reset.hidden = !zoomed;
    note.textContent = `Width is self time, including that of spans below: ${seconds(all / 1e6)} in all. Spans that run side by side count separately.${hidden ? ` ${plural(hidden, "path")} too narrow to draw: zoom in.` : ""}`;
    if (had) drawn.get(current)?.focus({ preventScroll: true });
  }

  function zoom(node) {
    zoomed = node;
    if (node) current = node;
    tip.hidden = true;
    draw();
    show(current);
  }

  function show(node) {
    clear(about).append(h("i", { class: `strip svc-${colour(node.service)}` }), describe(node));
  }

  function move(node) {
    if (!drawn.has(node)) return;
    drawn.get(current)?.setAttribute("tabindex", "-1");
    current = node;
    drawn.get(node).setAttribute("tabindex", "0");
    drawn.get(node).focus();
  }

  const nodeOf = (target) => {
    const b = target.closest?.(".flame-bar");
    return b ? [...drawn].find(([, x]) => x === b)?.[0] : null;
  };
  const point = (node) => {
    const b = drawn.get(node);
    clear(tip).append(h("p", null, h("b", null, node.service), ` ${node.name}${node.kind ? ` (${node.kind})` : ""}`),
      ...[["Self time", `${seconds(node.self / 1e6)} · ${share(node.self)}`], ["With children", `${seconds(node.width / 1e6)} · ${share(node.width)}`], ["Spans", String(node.spans.length)], ["Sum of durations", seconds(node.total / 1e6)], ["Errors", String(node.errors)]]
        .map(([name, value]) => h("p", { class: "row" }, h("span", { class: "name" }, name), h("b", null, value))));
    tip.hidden = false;
    const room = bars.clientWidth - tip.offsetWidth;
    tip.style.setProperty("left", `${Math.max(0, Math.min(room, b.offsetLeft + 8))}px`);
    tip.style.setProperty("top", `${b.offsetTop + rowHeight + 4}px`);
  };
  bars.addEventListener("click", (e) => {
    const node = nodeOf(e.target);
    if (!node) return;
    current = node;
    zoom(node === zoomed ? node.parent : node);
    drawn.get(current)?.focus({ preventScroll: true });
  });
  bars.addEventListener("pointermove", (e) => {
    const node = nodeOf(e.target);
    if (node) point(node);
    else tip.hidden = true;
  });
  bars.addEventListener("pointerleave", () => (tip.hidden = true));
  bars.addEventListener("focusin", (e) => {
    const node = nodeOf(e.target);
    if (!node) return;
    current = node;
    show(node);
  });
  bars.addEventListener("focusout", () => (tip.hidden = true));
  bars.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const siblings = (current.parent?.children ?? nodes.filter((n) => !n.parent)).filter((n) => drawn.has(n));
    const at = siblings.indexOf(current);
    const act = {
      ArrowDown: () => move(current.children.filter((n) => drawn.has(n)).sort((a, b) => b.width - a.width)[0]), ArrowUp: () => move(current.parent),
      ArrowLeft: () => move(siblings[at - 1]), ArrowRight: () => move(siblings[at + 1]),
      Home: () => move(nodes[0]), Enter: () => zoom(current === zoomed ? current.parent : current), " ": () => zoom(current === zoomed ? current.parent : current),
      Escape: () => zoom(null),
    }[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  });
  draw();
  show(current);
  return { element: h("section", { class: "card flame", "aria-label": "Flame graph" }, note,
    h("div", { class: "flame-box" }, bars, tip),
    h("div", { class: "trace-tools" }, about, spans, reset), asTable(nodes, share)) };
}

const maxRows = 500;

// asTable is the flame graph as text.
function asTable(nodes, share) {
  const box = h("details", { class: "flame-text" }, h("summary", null, "Flame graph as a table"));
  box.addEventListener("toggle", () => {
    if (!box.open || box.querySelector("table")) return;
    const rows = nodes.slice(0, maxRows).map((n) => [h("span", { class: "what", style: { "--depth": n.depth } }, h("i", { class: `strip svc-${colour(n.service)}` }), n.service, " ", h("span", null, n.name)),
      String(n.spans.length), `${seconds(n.self / 1e6)}`, share(n.self), seconds(n.width / 1e6), share(n.width), String(n.errors)]);
    box.append(table([{ name: "Service and operation" }, { name: "Spans", number: true }, { name: "Self time", number: true }, { name: "Share", number: true }, { name: "With children", number: true }, { name: "Share", number: true }, { name: "Errors", number: true }], rows, { caption: "Flame graph as a table" }));
    if (nodes.length > maxRows) box.append(h("p", { class: "note" }, `The first ${maxRows} of ${nodes.length} paths.`));
  });
  return box;
}
