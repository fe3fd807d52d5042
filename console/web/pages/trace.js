// /trace/ID: the waterfall of a trace; /trace/ID?compare=ID2: the comparison of two traces.

import { h } from "../lib/dom.js";
import { address, get, jaeger } from "../lib/api.js";
import { ago, dateTime, seconds } from "../lib/format.js";
import { empty, problem } from "../lib/ui.js";
import { build, colour, criticalPath, find } from "../lib/trace.js";
import { traceID } from "../lib/tracequery.js";
import { compare } from "../lib/tracecompare.js";
import { minimap } from "../lib/traceminimap.js";
import { lines } from "../lib/tracedetails.js";
import { waterfall } from "../lib/tracerows.js";

export async function show(root, ctx) {
  delete root.dataset.loaded; // of the previous page
  delete root.dataset.logs;
  const id = traceID(ctx.params.id);
  ctx.title(`Trace ${(id ?? ctx.params.id).slice(0, 7)}`);
  const other = ctx.query.get("compare");
  const ids = other === null ? [ctx.params.id] : [ctx.params.id, other];
  const loaded = await Promise.all(ids.map((i) => load(i, ctx.signal)));
  if (ctx.signal.aborted) return;
  const missing = loaded.find((l) => l.element);
  if (missing) root.append(h("h1", null, other === null ? "Trace" : "Trace comparison"), missing.element);
  else if (other !== null) compare(root, loaded[0].trace, loaded[1].trace);
  else one(root, ctx, loaded[0].trace);
  root.dataset.loaded = "true";
}

// load returns {trace}, or an {element} with the reason why there is none.
async function load(text, signal) {
  const id = traceID(text);
  if (!id) return { element: problem(`${JSON.stringify(text)} is not a trace id: use up to 32 hexadecimal digits.`, h("a", { href: "/traces" }, "Search traces")) };
  try {
    const data = await jaeger.trace(id, signal);
    const trace = data && build(data);
    if (trace?.spans.length) return { trace };
  } catch (error) {
    if (!/not found/i.test(error.message)) return { element: problem(error.message) };
  }
  return { element: empty("Trace not found in Jaeger.",
    h("p", { class: "mono" }, id),
    h("p", null, "Spans are exported in batches, some seconds after they end: retry soon. Traces that were not sampled, or are older than Jaeger's retention, are not available."),
    h("p", null, h("button", { type: "button", onclick: () => location.reload() }, "Retry"), " ", h("a", { href: "/traces" }, "Search traces"))) };
}

function one(root, ctx, trace) {
  const top = trace.root;
  ctx.title(`${top.service}: ${top.name}`);
  const critical = criticalPath(top);
  const properties = [["Start", dateTime(trace.start / 1000, true), ago(trace.start / 1000)], ["Duration", seconds(trace.duration / 1e6)], ["Services", trace.services.length],
    ["Depth", trace.depth], ["Spans", trace.spans.length], ["Errors", trace.errors]];
  const logs = { lines: null, error: null };
  const rows = waterfall(trace, critical, {
    logs, signal: ctx.signal, focus: (span) => {
      const hash = span ? `#span=${span.id}` : "";
      history.replaceState(null, "", location.pathname + location.search + hash);
    }, zoom: (from, to) => view(from, to),
  });
  const map = minimap(trace, (from, to) => view(from, to));
  const resetZoom = h("button", { type: "button", hidden: true, onclick: () => view(0, 1) }, "Reset zoom");
  const view = (from, to) => {
    rows.view(from, to);
    map.view(from, to);
    resetZoom.hidden = from === 0 && to === 1;
  };
  const other = h("section", { class: "card", hidden: true });
  root.append(
    h("div", { class: "head" }, h("h1", null, h("span", null, top.service), ": ", top.name), h("code", { class: "sub", title: "Trace id" }, trace.id)),
    h("dl", { class: "trace-properties" }, properties.map(([name, value, title]) => h("div", null, h("dt", null, name), h("dd", { title, class: name === "Errors" && value ? "bad" : null }, String(value))))),
    ...trace.warnings.map((w) => h("p", null, h("span", { class: "badge warn" }, "warning"), " ", h("span", { class: "note" }, w))),
    h("div", { class: "trace-legend" }, trace.services.map((x) => h("span", { class: `trace-service svc-${colour(x.name)}` }, `${x.name} ${x.spans}${x.errors ? `, ${x.errors} failed` : ""}`)),
      h("span", { class: "note" }, "line within a bar: critical path, the spans that the root waited for")),
    map.element,
    tools(trace, rows, resetZoom),
    rows.element, other);
  rows.ready.then(() => {
    const linkedSpan = new URLSearchParams(location.hash.slice(1)).get("span");
    if (linkedSpan && !ctx.signal.aborted && !rows.open(linkedSpan)) root.append(h("p", { class: "note", role: "status" }, `Span ${linkedSpan} is not in this trace.`));
  });
  loadLogs(trace, logs, ctx.signal).then(() => {
    if (ctx.signal.aborted) return;
    rows.logsLoaded();
    const ids = new Set(trace.spans.map((x) => x.id));
    const rest = (logs.lines ?? []).filter((l) => !ids.has(l.span_id));
    if (rest.length) {
      other.hidden = false;
      other.append(h("h2", null, "Log lines outside the spans of this trace"), lines(rest, trace.start));
    }
    root.dataset.logs = "true";
  });
}

// around is the time before and after a trace, in microseconds, searched for its log lines.
const around = 60e6;

// loadLogs fetches the log lines of the trace, or the error, for the details of the spans.
async function loadLogs(trace, logs, signal) {
  try {
    const iso = (t) => new Date(t / 1000).toISOString();
    const answer = await get(address("/-/logs", { trace: trace.id, since: iso(trace.start - around), until: iso(trace.end + around), limit: 200 }), signal);
    logs.lines = answer.lines ?? [];
  } catch (error) {
    logs.error = error.message;
  }
}

function tools(trace, rows, resetZoom) {
  const count = h("span", { class: "note", role: "status" });
  let found = [], at = -1;
  const search = h("input", { type: "search", "aria-label": "Find in this trace", placeholder: "Find in this trace", spellcheck: "false", oninput: () => {
    found = find(trace.spans, search.value);
    at = found.length ? 0 : -1;
    update();
  }, onkeydown: (e) => {
    if (e.key !== "Enter" || !found.length) return;
    e.preventDefault();
    step(e.shiftKey ? -1 : 1);
  } });
  const update = () => {
    rows.highlight(search.value.trim() ? found : null, found[at]);
    count.textContent = search.value.trim() ? (found.length ? `${at + 1} of ${found.length}` : "no match") : "";
    for (const b of [previous, next]) b.hidden = found.length < 2;
  };
  const step = (by) => {
    at = (at + by + found.length) % found.length;
    update();
  };
  const previous = h("button", { type: "button", hidden: true, "aria-label": "Previous match", onclick: () => step(-1) }, "↑");
  const next = h("button", { type: "button", hidden: true, "aria-label": "Next match", onclick: () => step(1) }, "↓");
  const critical = h("button", { type: "button", "aria-pressed": "true", onclick: () => {
    const on = critical.getAttribute("aria-pressed") !== "true";
    critical.setAttribute("aria-pressed", String(on));
    rows.element.classList.toggle("no-critical", !on);
  } }, "Critical path");
  return h("div", { class: "trace-tools" }, search, previous, next, count,
    h("button", { type: "button", onclick: () => rows.all(true) }, "Expand all"), h("button", { type: "button", onclick: () => rows.all(false) }, "Collapse all"),
    critical, resetZoom,
    h("a", { href: address("/logs", { trace: trace.id }) }, "Logs"),
    h("a", { href: `/api/traces/${trace.id}`, download: `trace-${trace.id}.json` }, "JSON"));
}
