// The statistics of a trace: one row for each service and operation.

import { h } from "./dom.js";
import { plural, seconds } from "./format.js";
import { colour, selfTime } from "./trace.js";
import { sortHeading } from "./ui.js";

// quantile returns the nearest-rank quantile of a sorted list: a value of it.
export const quantile = (sorted, q) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];

// statistics returns [{service, name, spans, count, total, self, share, p50, p99, errors}], share
// of the self time of all. Times are in microseconds.
export function statistics(trace) {
  const found = new Map();
  for (const span of trace.spans) {
    const key = JSON.stringify([span.service, span.name]);
    const row = found.get(key) ?? { service: span.service, name: span.name, spans: [], total: 0, self: 0, errors: 0 };
    row.spans.push(span);
    row.total += span.duration;
    row.self += selfTime(span);
    if (span.error) row.errors++;
    found.set(key, row);
  }
  const rows = [...found.values()];
  const all = rows.reduce((sum, r) => sum + r.self, 0);
  for (const r of rows) {
    const durations = r.spans.map((x) => x.duration).sort((a, b) => a - b);
    Object.assign(r, { count: r.spans.length, share: all ? r.self / all : 0, p50: quantile(durations, 0.5), p99: quantile(durations, 0.99) });
  }
  return rows;
}

const time = (us) => seconds(us / 1e6);
const columns = [
  { key: "name", title: "Service and operation", text: true },
  { key: "count", title: "Spans", cell: (r) => String(r.count) },
  { key: "total", title: "Total", cell: (r) => time(r.total), about: "Sum of the durations" },
  { key: "self", title: "Self", cell: (r) => time(r.self), about: "Time during which no child ran" },
  { key: "share", title: "Self, share", cell: (r) => h("span", null, `${(100 * r.share).toFixed(1)} %`), about: "Share of the self time of all spans", bar: true },
  { key: "p50", title: "p50", cell: (r) => time(r.p50), about: "Median duration of a span" },
  { key: "p99", title: "p99", cell: (r) => time(r.p99), about: "99th percentile of the durations; with fewer than 100 spans the longest" },
  { key: "errors", title: "Errors", cell: (r) => (r.errors ? h("span", { class: "bad" }, String(r.errors)) : "0") },
];

// sortRows sorts by a column. Of "-KEY", the highest is first.
export function sortRows(rows, by) {
  const key = by.replace(/^-/, ""), sign = by.startsWith("-") ? -1 : 1;
  const value = (r) => (key === "name" ? `${r.service} ${r.name}` : r[key]);
  return [...rows].sort((a, b) => sign * (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0) || (a.service + a.name < b.service + b.name ? -1 : 1));
}

// statsView returns {element}. sort is the initial order, sorted(order) receives a new one, and
// spansOf(row) shows the spans of a row.
export function statsView(trace, { sort, sorted, spansOf }) {
  const rows = statistics(trace);
  if (!columns.some((c) => c.key === sort?.replace(/^-/, ""))) sort = "-self";
  const body = h("tbody"), head = h("tr");
  const heading = (c, i) => {
    const by = sort.replace(/^-/, "") === c.key, down = sort.startsWith("-");
    return sortHeading(c.title, by ? (down ? "descending" : "ascending") : null, () => {
      sort = (by ? down : c.text) ? c.key : `-${c.key}`;
      sorted(sort);
      draw();
      head.children[i].firstChild.focus();
    }, { class: c.text ? null : "n", title: c.about });
  };
  const draw = () => {
    head.replaceChildren(...columns.map(heading));
    body.replaceChildren(...sortRows(rows, sort).map((r) => h("tr", null, columns.map((c) => (c.text
      ? h("th", { scope: "row" }, h("button", { type: "button", class: "quiet what", title: "Show its spans", onclick: () => spansOf(r) }, h("i", { class: `strip svc-${colour(r.service)}` }), r.service, " ", h("span", null, r.name)))
      : h("td", { class: "n" }, c.bar && h("span", { class: "stats-bar", "aria-hidden": "true" }, h("i", { class: `svc-${colour(r.service)}`, style: { width: `${100 * r.share}%` } })), c.cell(r)))))));
  };
  draw();
  return { element: h("section", { class: "card trace-stats", "aria-label": "Statistics" },
    h("p", { class: "note" }, `${plural(rows.length, "operation")}, ${plural(trace.spans.length, "span")}. Select an operation to list its spans.`),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Statistics by service and operation" }, h("table", null, h("thead", null, head), body))) };
}
