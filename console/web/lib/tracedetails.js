// The details of a span.

import { h } from "./dom.js";
import { address } from "./api.js";
import { clock, plural, seconds } from "./format.js";
import { spanProfiles } from "./profiles.js";
import { colour, selfTime } from "./trace.js";

// breakable allows line breaks in a name after dots and underscores.
const breakable = (name) => name.split(/(?<=[._])/).flatMap((part) => [part, h("wbr")]);

const valueText = (v) => (typeof v === "string" ? v : JSON.stringify(v));

function pairs(title, tags) {
  if (!tags.length) return null;
  return h("div", null, h("h4", null, title),
    h("table", { "aria-label": title }, h("tbody", null, [...tags].sort((a, b) => (a.key < b.key ? -1 : 1)).map((t) => h("tr", null, h("th", { scope: "row" }, breakable(t.key)), h("td", null, valueText(t.value)))))));
}

// metrics returns the URL of the dashboard of a span's service, five minutes around the trace.
function metrics(trace, span) {
  const around = { from: Math.floor(trace.start / 1e3) - 3e5, to: Math.ceil(trace.end / 1e3) + 3e5 };
  if (span.service === "loadgen") return address("/d/load-test", around);
  return address("/d/service-latency", span.service === "datagen" ? around : { "var-service": span.service, ...around });
}

// fragment is the part of a URL that opens a span. Ids of files can have any characters.
export const fragment = (id) => `#${new URLSearchParams({ span: id })}`;

// details returns the element. jump opens another span of the trace, zoom zooms to this span.
// logs.lines are the log lines of the trace, null until loaded.
export function details(trace, span, path, { logs, jump, zoom }) {
  const criticalTime = path.reduce((sum, p) => sum + p.to - p.from, 0);
  const properties = [["Service", span.service], ["Kind", span.kind || "–"], ["Start offset", seconds((span.start - trace.start) / 1e6)], ["Duration", seconds(span.duration / 1e6)],
    ["Self time", seconds(selfTime(span) / 1e6)], ["On the critical path", criticalTime ? seconds(criticalTime / 1e6) : "no"], ["Span", span.id]];
  const spanHref = (trace.file ? "" : `/trace/${trace.id}`) + fragment(span.id);
  return h("div", { class: `wf-detail svc-${colour(span.service)}`, role: "group", "aria-label": `Details of ${span.name}`, style: { "--depth": span.depth } },
    h("h3", null, span.name),
    h("dl", { class: "trace-properties" }, properties.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, String(value))))),
    span.warnings.map((w) => h("p", null, h("span", { class: "badge warn" }, "warning"), " ", h("span", { class: "note" }, w))),
    span.orphan && h("p", null, h("span", { class: "badge warn" }, "missing parent"), " ", h("span", { class: "note" }, `Parent ${span.parentID} is not in the trace.`)),
    h("div", { class: "wf-columns" }, pairs("Attributes", span.tags), h("div", null, events(span), links(trace, span, jump), trace.file ? null : logLines(trace, span, logs))),
    trace.file ? null : spanProfiles(trace, span),
    h("details", null, h("summary", null, `Resource: ${plural(span.process.length, "attribute")} of the process`), pairs("Resource", span.process)),
    h("div", { class: "links" },
      h("button", { type: "button", onclick: zoom }, "Zoom to this span"),
      !trace.file && [h("a", { href: address("/logs", { trace: trace.id, q: span.id }) }, "Span logs"),
        h("a", { href: address("/traces", { service: span.service, operation: span.name }) }, "Similar traces"),
        h("a", { href: metrics(trace, span) }, "Metrics at that time")],
      h("a", { href: spanHref, onclick: (e) => {
        e.preventDefault();
        history.replaceState(null, "", spanHref);
      } }, "Link to this span")));
}

function events(span) {
  if (!span.logs.length) return null;
  return h("div", null, h("h4", null, `Events (${span.logs.length})`), span.logs.map((l) => {
    const fields = l.fields ?? [];
    const name = fields.find((f) => f.key === "event")?.value;
    return h("details", { open: span.logs.length < 4 }, h("summary", null, `${seconds((l.timestamp - span.start) / 1e6)}: ${name === undefined ? plural(fields.length, "field") : valueText(name)}`), pairs("Event", fields));
  }));
}

function links(trace, span, jump) {
  if (!span.links.length) return null;
  return h("div", null, h("h4", null, "Links"), h("ul", null, span.links.map((r) => {
    const same = r.traceID === trace.id;
    const text = same ? `span ${r.spanID} of this trace` : `span ${r.spanID} of trace ${r.traceID}`;
    return h("li", null, h("a", { class: "mono", href: `/trace/${encodeURIComponent(r.traceID)}${fragment(r.spanID)}`, onclick: (e) => {
      if (!same) return;
      e.preventDefault();
      jump(r.spanID);
    } }, text));
  })));
}

function logLines(trace, span, logs) {
  if (logs.error) return h("div", null, h("h4", null, "Log lines"), h("p", { class: "note" }, `Could not be read: ${logs.error}`));
  if (!logs.lines) return h("div", null, h("h4", null, "Log lines"), h("p", { class: "note" }, "loading …"));
  const spanLines = logs.lines.filter((l) => l.span_id === span.id);
  return h("div", null, h("h4", null, `Log lines (${spanLines.length})`), spanLines.length ? lines(spanLines, trace.start) : h("p", { class: "note" }, "No log lines in this span."));
}

// lines shows log lines: {time, service, level, message, fields: [{name, value}]}, in order of time.
export function lines(list, start) {
  const ms = (l) => new Date(l.time).getTime();
  return h("ol", { class: "log-lines" }, [...list].sort((a, b) => ms(a) - ms(b)).map((l) => {
    const time = ms(l);
    const fields = (l.fields ?? []).map((f) => `${f.name}=${valueText(f.value)}`).join(" ");
    return h("li", null,
      h("time", { title: Number.isNaN(time) ? null : `${seconds((time * 1000 - start) / 1e6)} after the start of the trace` }, Number.isNaN(time) ? String(l.time) : clock(time, true)),
      h("span", { class: /^[a-z]+$/.test(l.level) ? l.level : null }, l.level ?? ""),
      h("span", { class: "text" }, l.service ?? "", ": ", l.message ?? "", " ", h("span", null, fields)));
  }));
}
