// The waterfall: a tree of spans and their bars on a time axis.
//
// Rows are created in batches, so that a trace of thousands of spans stays responsive. Rows
// outside the viewport are not laid out (content-visibility). Positions on the axis are custom
// properties from 0 to 1: zooming changes only two of them, on the container.

import { h, clear } from "./dom.js";
import { seconds } from "./format.js";
import { colour, ticks } from "./trace.js";
import { details } from "./tracedetails.js";

const batch = 200;

// waterfall returns {element, ready, open(id), view(from, to), highlight(spans, current),
// all(expanded), only(spans), logsLoaded()}. only(null) shows all spans. focus(span) receives the
// span with open details, or null. unfiltered is called when a span is opened that only hides.
export function waterfall(trace, critical, { logs, signal, focus, zoom, unfiltered }) {
  const at = (t) => (trace.duration ? (t - trace.start) / trace.duration : 0);
  const paths = new Map();
  for (const p of critical) paths.set(p.span, [...(paths.get(p.span) ?? []), p]);
  const list = h("ul", { role: "tree", "aria-label": "Spans" });
  const axis = h("div", { class: "wf-ticks" });
  const element = h("div", { class: `waterfall${trace.spans.length > batch ? " many" : ""}` }, h("div", { class: "wf-axis", "aria-hidden": "true" }, h("span", null, "Service and operation"), axis), list);
  const rows = new Map(); // span → {item, row, toggle, collapsed, detail}
  let current = trace.spans[0];

  function make(span) {
    const toggle = h("span", { class: "toggle", "aria-hidden": "true" }, span.children.length ? "▾" : "");
    const marks = [
      span.error && h("span", { class: "mark" }, "error"),
      span.warnings.length > 0 && h("span", { class: "mark warn", title: span.warnings.join(" ") }, "!"),
      span.orphan && h("span", { class: "mark warn", title: "Its parent is not in the trace" }, "missing parent"),
    ];
    const pathParts = paths.get(span) ?? [];
    const a = at(span.start), w = at(span.end) - a;
    const time = h("div", { class: "wf-time", style: { "--a": a, "--w": w } },
      h("div", { class: "wf-inner" },
        h("span", { class: "wf-bar" }),
        pathParts.map((p) => h("span", { class: "wf-critical", style: { "--a": at(p.from), "--w": at(p.to) - at(p.from) } })),
        span.logs.slice(0, 50).map((l) => h("span", { class: "wf-log", title: "Event", style: { "--a": at(l.timestamp) } }))),
      h("span", { class: "wf-label" }, seconds(span.duration / 1e6)));
    const criticalTime = pathParts.reduce((sum, p) => sum + p.to - p.from, 0);
    const row = h("div", {
      class: `wf-row svc-${colour(span.service)}${span.error ? " error" : ""}`, role: "treeitem", tabindex: span === current ? "0" : "-1", "aria-level": span.depth + 1,
      "aria-expanded": span.children.length ? "true" : null, "aria-selected": "false", "data-span": span.id, style: { "--depth": span.depth },
      "aria-label": `${span.service} ${span.name}, ${seconds(span.duration / 1e6)}${span.error ? ", error" : ""}${criticalTime ? `, ${seconds(criticalTime / 1e6)} of the critical path` : ""}`,
    }, h("div", { class: "wf-name" }, toggle, h("span", { class: "strip" }), h("span", { class: "text", title: `${span.service}: ${span.name}${span.kind ? ` (${span.kind})` : ""}` }, span.service, " ", h("span", null, span.name)), marks), time);
    const item = h("li", { role: "none" }, row);
    rows.set(span, { item, row, toggle, collapsed: false, detail: null });
    return item;
  }

  // The first batch is created at once, the others in between events.
  let created = 0, collapsedRows = 0, shown = null;
  const addBatch = () => {
    const items = trace.spans.slice(created, created + batch).map(make);
    created += batch;
    if (collapsedRows || shown) arrange();
    else list.append(...items);
  };
  addBatch();
  const ready = (async () => {
    while (created < trace.spans.length && !signal.aborted) {
      await new Promise((r) => setTimeout(r));
      addBatch();
    }
    element.dataset.rows = String(rows.size);
  })();

  // visible lists the spans without a collapsed ancestor, or those that only() selected.
  function visible() {
    if (shown) return trace.spans.filter((span) => shown.has(span) && rows.has(span));
    let skip = Infinity;
    return trace.spans.filter((span) => {
      const r = rows.get(span);
      if (!r || span.depth > skip) return false;
      skip = r.collapsed ? span.depth : Infinity;
      return true;
    });
  }

  // hideRows takes the rows off the layout before they are removed: with content-visibility, removing
  // 20,000 visible rows one by one takes Chromium 15 s. The height stays, for the scroll position.
  function hideRows() {
    if (trace.spans.length <= batch) return;
    element.style.setProperty("min-height", `${element.offsetHeight}px`);
    list.style.setProperty("display", "none");
    void list.offsetHeight; // lays out
  }
  signal.addEventListener("abort", hideRows); // the page is left

  // arrange keeps only these in the list: with thousands of hidden rows, layout takes seconds.
  function arrange() {
    const focused = list.contains(document.activeElement) ? document.activeElement : null;
    hideRows();
    list.replaceChildren(...visible().map((span) => rows.get(span).item));
    list.style.removeProperty("display");
    element.style.removeProperty("min-height");
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }

  function set(span, expanded, later = false) {
    const r = rows.get(span);
    if (!r || !span.children.length || r.collapsed === !expanded) return;
    r.collapsed = !expanded;
    collapsedRows += expanded ? -1 : 1;
    r.row.setAttribute("aria-expanded", String(expanded));
    r.toggle.textContent = expanded ? "▾" : "▸";
    if (!later) arrange();
  }

  function reveal(span) {
    if (rows.get(span)?.item.isConnected) return;
    if (shown && !shown.has(span)) unfiltered();
    for (let p = span.parent; p; p = p.parent) set(p, true, true);
    arrange();
  }

  function only(spans) {
    if (!shown && !spans) return;
    shown = spans && new Set(spans);
    element.classList.toggle("filtered", Boolean(shown));
    arrange();
    const first = visible()[0];
    if (first && !rows.get(current)?.item.isConnected) move(first, { take: false, scroll: false });
  }

  function move(span, { scroll = true, take = true } = {}) {
    const r = rows.get(span);
    if (!r) return;
    rows.get(current)?.row.setAttribute("tabindex", "-1");
    current = span;
    r.row.setAttribute("tabindex", "0");
    if (take) r.row.focus({ preventScroll: true });
    if (scroll) r.row.scrollIntoView({ block: take ? "nearest" : "center" });
  }

  function toggleDetails(span, open) {
    const r = rows.get(span);
    if (!r || Boolean(r.detail) === open) return;
    r.row.setAttribute("aria-selected", String(open));
    if (open) {
      r.detail = details(trace, span, paths.get(span) ?? [], { logs, jump, zoom: () => zoom(...around(at(span.start), at(span.end))) });
      r.item.append(r.detail);
    } else {
      r.detail.remove();
      r.detail = null;
    }
    focus(open ? span : [...rows].findLast(([, x]) => x.detail)?.[0] ?? null);
  }

  // jump opens another span of the trace.
  function jump(id) {
    const span = trace.spans.find((x) => x.id === id);
    if (!span) return false;
    reveal(span);
    toggleDetails(span, true);
    move(span);
    return true;
  }

  const spanOf = (target) => {
    const id = target.closest?.(".wf-row")?.parentNode;
    return id ? trace.spans.find((x) => rows.get(x)?.item === id) : null;
  };
  list.addEventListener("click", (e) => {
    const span = spanOf(e.target);
    if (!span) return;
    move(span, { scroll: false });
    if (e.target.closest(".toggle") && span.children.length) set(span, rows.get(span).collapsed);
    else toggleDetails(span, !rows.get(span).detail);
  });
  list.addEventListener("keydown", (e) => {
    const span = e.target.getAttribute("role") === "treeitem" ? spanOf(e.target) : null;
    if (!span || e.ctrlKey || e.metaKey || e.altKey) return;
    const r = rows.get(span);
    const next = (by) => {
      const list = visible();
      return list[list.indexOf(span) + by] ?? span;
    };
    const act = {
      ArrowDown: () => move(next(1)),
      ArrowUp: () => move(next(-1)),
      ArrowRight: () => (r.collapsed ? set(span, true) : span.children[0] && move(span.children[0])),
      ArrowLeft: () => (span.children.length && !r.collapsed ? set(span, false) : span.parent && move(span.parent)),
      Home: () => move(visible()[0]), End: () => move(visible().at(-1)),
      Enter: () => toggleDetails(span, !r.detail), " ": () => toggleDetails(span, !r.detail),
      "*": () => (span.parent?.children ?? trace.roots).forEach((x) => set(x, true)),
    }[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  });

  function view(from, to) {
    element.style.setProperty("--from", from);
    element.style.setProperty("--len", to - from);
    const list = ticks(from * trace.duration, to * trace.duration, matchMedia("(max-width: 640px)").matches ? 3 : 6);
    clear(axis).append(...list.map((t) => h("span", { style: { "--at": trace.duration ? t / trace.duration : 0 } }, seconds(t / 1e6))));
    const gap = list.length > 1 ? (100 * (list[1] - list[0])) / ((to - from) * trace.duration) : 100;
    const first = trace.duration ? (100 * (list[0] / trace.duration - from)) / (to - from) : 0;
    // The grid lines are at the ticks.
    element.style.setProperty("--gap", `${gap}%`);
    element.style.setProperty("--first", `${first}%`);
  }
  view(0, 1);

  return {
    element, ready, view, open: jump, only,
    highlight(found, match) {
      element.classList.toggle("searching", found !== null);
      const set = new Set(found ?? []);
      for (const [span, r] of rows) {
        r.row.classList.toggle("found", set.has(span));
        r.row.classList.toggle("current", span === match);
      }
      if (match) {
        reveal(match);
        move(match, { take: false });
      }
    },
    all(expanded) {
      for (const span of trace.spans) if (expanded || span.children.length) set(span, expanded, true);
      arrange();
      // The selection moves to the nearest visible ancestor.
      const from = current;
      for (let p = from; p; p = p.parent) if (rows.get(p)?.item.isConnected) return p === from || move(p, { take: false, scroll: false });
    },
    logsLoaded() {
      for (const [span, r] of rows) {
        if (!r.detail) continue;
        toggleDetails(span, false);
        toggleDetails(span, true);
      }
    },
  };
}

// around returns a part of the axis with a small margin.
function around(a, b) {
  const margin = Math.max((b - a) * 0.05, 1e-6);
  return [Math.max(0, a - margin), Math.min(1, b + margin)];
}
