// A trace on a page: waterfall, flame graph and statistics.

import { h, clear } from "./dom.js";
import { address, get } from "./api.js";
import { ago, dateTime, plural, seconds } from "./format.js";
import { colour, find } from "./trace.js";
import { flameView } from "./traceflame.js";
import { minimap } from "./traceminimap.js";
import { statsView } from "./tracestats.js";
import { fragment, lines } from "./tracedetails.js";
import { waterfall } from "./tracerows.js";

const views = [["waterfall", "Waterfall"], ["flame", "Flame graph"], ["stats", "Statistics"]];

// showTrace fills root. The URL's view, sort, service and operation are the state of the page. A
// trace with file set is of a file: it has no log lines, metrics or links to the lab.
export function showTrace(root, ctx, trace) {
  const top = trace.root, lab = !trace.file;
  ctx.title(`${top.service}: ${top.name}`);
  const properties = [["Start", dateTime(trace.start / 1000, true), ago(trace.start / 1000)], ["Duration", seconds(trace.duration / 1e6)], ["Services", trace.services.length],
    ["Depth", trace.depth], ["Spans", trace.spans.length], ["Errors", trace.errors]];
  const body = h("div");
  const rows = list(ctx, trace);
  const operation = (x) => show("waterfall", { service: x.service, operation: x.name }, true);
  const built = {
    waterfall: () => rows.element,
    flame: () => flameView(trace, { spansOf: operation }).element,
    stats: () => statsView(trace, { sort: ctx.query.get("sort"), sorted: (sort) => ctx.setQuery({ sort: sort === "-self" ? null : sort }), spansOf: operation }).element,
  };
  const elements = {};
  const buttons = views.map(([view, text]) => h("button", { type: "button", dataset: { view }, onclick: () => show(view, {}, true) }, text));
  function show(view, { service = null, operation = null } = {}, push = false) {
    if (!built[view]) view = "waterfall";
    for (const b of buttons) b.setAttribute("aria-pressed", String(b.dataset.view === view));
    if (!elements[view]) body.append((elements[view] = built[view]()));
    for (const [name, element] of Object.entries(elements)) element.hidden = name !== view; // removing thousands of rows is slow
    if (view === "waterfall") rows.only(service, operation);
    if (push) ctx.setQuery({ view: view === "waterfall" ? null : view, service, operation }, { push });
  }
  rows.cleared = () => ctx.setQuery({ service: null, operation: null });
  root.append(
    h("div", { class: "head" }, h(lab ? "h1" : "h2", null, h("span", null, top.service), ": ", top.name), h("code", { class: "sub", title: "Trace id" }, trace.id)),
    h("dl", { class: "trace-properties" }, properties.map(([name, value, title]) => h("div", null, h("dt", null, name), h("dd", { title, class: name === "Errors" && value ? "bad" : null }, String(value))))),
    ...trace.warnings.map((w) => h("p", null, h("span", { class: "badge warn" }, "warning"), " ", h("span", { class: "note" }, w))),
    h("div", { class: "trace-legend" }, trace.services.map((x) => h("span", { class: `trace-service svc-${colour(x.name)}` }, `${x.name} ${x.spans}${x.errors ? `, ${x.errors} failed` : ""}`))),
    h("div", { class: "trace-tools trace-views" }, h("div", { role: "group", "aria-label": "View" }, buttons),
      lab && h("a", { href: address("/logs", { trace: trace.id }) }, "Logs"),
      lab && h("span", { class: "note" }, "Download: ",
        h("a", { href: `/-/traces/${trace.id}/otlp`, download: `trace-${trace.id}.otlp.json`, title: "For the UI of Jaeger, this page, and the Collector's otlpjsonfile receiver" }, "OTLP JSON"), " · ",
        h("a", { href: `/api/traces/${trace.id}`, download: `trace-${trace.id}.json`, title: "For the UI of Jaeger, this page, and Grafana's Jaeger data source" }, "Jaeger JSON"))),
    body);
  show(ctx.query.get("view") ?? "waterfall", { service: ctx.query.get("service"), operation: ctx.query.get("operation") });
  rows.ready.then(() => {
    const linkedSpan = new URLSearchParams(location.hash.slice(1)).get("span");
    if (!linkedSpan || ctx.signal.aborted) return;
    if (!rows.open(linkedSpan)) root.append(h("p", { class: "note", role: "status" }, `Span ${linkedSpan} is not in this trace.`));
  });
  if (lab) logs(root, ctx, trace, rows);
}

// list is the waterfall with its tools: {element, ready, open, only, logs, logsLoaded}.
function list(ctx, trace) {
  const logs = { lines: trace.file ? [] : null, error: null };
  const rows = waterfall(trace, trace.critical, {
    logs, signal: ctx.signal, zoom: (from, to) => view(from, to), unfiltered: () => only(null, null), focus: (span) => {
      history.replaceState(null, "", location.pathname + location.search + (span ? fragment(span.id) : ""));
    },
  });
  const map = minimap(trace, (from, to) => view(from, to));
  const resetZoom = h("button", { type: "button", hidden: true, onclick: () => view(0, 1) }, "Reset zoom");
  const view = (from, to) => {
    rows.view(from, to);
    map.view(from, to);
    resetZoom.hidden = from === 0 && to === 1;
  };
  const filter = h("p", { class: "trace-filter", role: "status", hidden: true });
  const only = (service, operation) => {
    const had = !filter.hidden;
    filter.hidden = service === null && operation === null;
    if (filter.hidden) {
      rows.only(null);
      if (had) self.cleared();
      return;
    }
    const found = trace.spans.filter((x) => (service === null || x.service === service) && (operation === null || x.name === operation));
    clear(filter).append(`Only ${[service, operation].filter((x) => x !== null).join(" ")}: ${plural(found.length, "span")} `, h("button", { type: "button", onclick: () => only(null, null) }, "Show all spans"));
    rows.only(found);
  };
  const element = h("div", null, map.element, tools(trace, rows, resetZoom), filter, rows.element,
    h("p", { class: "note wf-note" }, "Line within a bar: critical path, the spans that the root waited for."));
  const self = { element, ready: rows.ready, open: rows.open, only, logs, logsLoaded: rows.logsLoaded, cleared: () => {} };
  return self;
}

// around is the time before and after a trace, in microseconds, searched for its log lines.
const around = 60e6;

// logs fetches the log lines of the trace, for the details of the spans.
async function logs(root, ctx, trace, rows) {
  try {
    const iso = (t) => new Date(t / 1000).toISOString();
    const response = await get(address("/-/logs", { trace: trace.id, since: iso(trace.start - around), until: iso(trace.end + around), limit: 200 }), ctx.signal);
    rows.logs.lines = response.lines ?? [];
  } catch (error) {
    rows.logs.error = error.message;
  }
  if (ctx.signal.aborted) return;
  rows.logsLoaded();
  const ids = new Set(trace.spans.map((x) => x.id));
  const rest = (rows.logs.lines ?? []).filter((l) => !ids.has(l.span_id));
  if (rest.length) root.append(h("section", { class: "card" }, h("h2", null, "Log lines outside the spans of this trace"), lines(rest, trace.start)));
  root.dataset.logs = "true";
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
    critical, resetZoom);
}
