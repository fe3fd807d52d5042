// /map: the services, the calls between them, and their rates, errors and latency.
//
// A sample of traces shows only which calls exist: quiet services are overrepresented in it.
// Rates, errors and latency come from Prometheus and cover every request.

import { h, clear } from "../lib/dom.js";
import { address, get, prom } from "../lib/api.js";
import { dateTime, plural, seconds, withUnit } from "../lib/format.js";
import { startHint } from "../lib/lab.js";
import { empty, problem, select, table } from "../lib/ui.js";
import { split } from "../lib/tracemap.js";
import { lookbacks } from "../lib/tracequery.js";
import { draw } from "../lib/tracemapview.js";

const lookbackSeconds = { "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "3h": 10800, "6h": 21600 };

export async function show(root, ctx) {
  delete root.dataset.loaded; // of the previous page
  ctx.title("Map");
  let lookback = ctx.query.get("lookback") ?? "15m";
  if (!Object.hasOwn(lookbackSeconds, lookback)) lookback = "15m";
  const body = h("div");
  const load = async () => {
    const requested = lookback;
    body.setAttribute("aria-busy", "true");
    try {
      const found = await collect(lookbackSeconds[lookback], ctx.signal);
      if (requested === lookback && !ctx.signal.aborted) present(body, found, lookback, ctx.signal);
    } catch (error) {
      if (ctx.signal.aborted) return;
      clear(body).append(problem(error.message));
    }
    body.removeAttribute("aria-busy");
    root.dataset.loaded = "true";
  };
  root.append(h("div", { class: "head" }, h("h1", null, "Service map"), h("p", { class: "sub" }, "calls between services")),
    h("div", { class: "tools" }, select("Time", lookbacks.filter(([v]) => lookbackSeconds[v]), lookback, (v) => {
      lookback = v;
      ctx.setQuery({ lookback: v }, { push: true });
      load();
    }), h("button", { type: "button", onclick: load }, "Refresh")), body);
  await load();
}

async function collect(length, signal) {
  const end = Date.now() / 1000, start = end - length;
  const [sample, stats] = await Promise.all([get(address("/-/map", { since: Math.floor(start * 1e3), until: Math.ceil(end * 1e3) }), signal), metrics(length, end, signal).catch((error) => {
    if (signal.aborted) throw error;
    return { problem: error.message, services: new Map(), sent: new Map(), databases: new Map() };
  })]);
  return { ...sample, stats, start, end, edges: split(sample.edges, stats.sent, stats.databases) };
}

// Driver calls that are not statements are excluded: they would count one several times.
const statements = 'db_operation_name!~"sql\\\\.(rows|conn\\\\.(reset_session|ping|prepare)|connector\\\\.connect)"';

// metrics queries Prometheus for the requests that a service handles, or the requests it sends if
// it handles none, or else its spans.
async function metrics(length, end, signal) {
  // triple returns {rate, errors (a share), p99} by the labels in by.
  const triple = async (by, count, bad, times) => {
    const key = (m) => (by.length > 1 ? JSON.stringify(by.map((l) => m[l])) : m[by[0]]);
    const [rate, failed, p99] = await Promise.all([count(""), count(bad), times].map(async (query) =>
      new Map((await prom.instant(query, end, signal)).map((r) => [key(r.metric), Number(r.value[1])]))));
    return new Map([...rate].filter(([name, r]) => r > 0 && name).map(([name, r]) => [name, { rate: r, errors: (failed.get(name) ?? 0) / r, p99: p99.get(name) ?? NaN }]));
  };
  const window = `[${length}s] anchored`;
  const histogram = (metric, bad, only = "", by = ["service_name"]) => {
    const rate = (more) => `sum by (${by}) (rate(${metric}{${[only, more].filter(Boolean)}}${window}))`;
    return triple(by, (more) => `histogram_count(${rate(more)})`, bad, `histogram_quantile(0.99, ${rate("")})`);
  };
  const [server, client, spans, databases] = await Promise.all([
    histogram("http_server_request_duration_seconds", 'http_response_status_code=~"5.."'),
    histogram("http_client_request_duration_seconds", 'error_type!="",http_response_status_code!~"4.."'),
    triple(["service_name"], (more) => `sum by (service_name) (rate(traces_span_metrics_calls_total{${more}}${window}))`, 'status_code="STATUS_CODE_ERROR"',
      `histogram_quantile(0.99, sum by (service_name) (rate(traces_span_metrics_duration_seconds${window})))`),
    histogram("db_client_operation_duration_seconds", 'error_type!=""', statements, ["service_name", "db_system_name"]),
  ]);
  const services = new Map();
  for (const [found, counted] of [[spans, "spans"], [client, "requests sent"], [server, "requests handled"]]) {
    for (const [name, f] of found) services.set(name, { counted, ...f });
  }
  return { services, sent: client, databases };
}

function present(body, { services, traces, slices, per_slice: perSlice, stats, start, end, edges }, lookback, signal) {
  clear(body);
  if (!services.length && !stats.services.size) {
    body.append(empty("No service has sent spans yet.", h("p", null, `${startHint()}, then send load: go run ./loadgen -rate 30`)));
    return;
  }
  if (stats.problem) body.append(problem(`Rates unavailable: ${stats.problem}`));
  const names = new Set([...services, ...edges.filter((e) => e.kind !== "db").flatMap((e) => [e.from, e.to])]);
  const nodes = [...names].sort().map((name) => ({ id: name, name, kind: "service", stats: stats.services.get(name) ?? null, href: `/traces?service=${encodeURIComponent(name)}&lookback=${lookback}` }));
  for (const name of new Set(edges.filter((e) => e.kind === "db").map((e) => e.to))) {
    const users = edges.filter((e) => e.kind === "db" && e.to === name);
    nodes.push({ id: `db ${name}`, name, kind: "database", stats: null, total: users.every((e) => e.rate !== null) ? users.reduce((sum, e) => sum + e.rate, 0) : null,
      href: `/traces?service=${encodeURIComponent(users[0].from)}&filter=${encodeURIComponent(`db.system.name = ${JSON.stringify(name)}`)}&lookback=${lookback}` });
  }
  const drawn = edges.map((e) => ({ ...e, to: e.kind === "db" ? `db ${e.to}` : e.to }));
  const chart = h("section", { class: "card map", tabindex: "0", role: "region", "aria-label": "Service map" });
  body.append(chart, h("p", { class: "note" },
    `Calls come from a sample of ${plural(traces, "trace")}: up to ${perSlice} per service in each of ${slices} intervals from ${dateTime(start * 1000)} to ${dateTime(end * 1000)}. Rates, errors and p99 come from Prometheus and cover every request. Errors of a service are its 5xx responses. Errors of a call are those that the caller saw, retried attempts included. If a service calls several others, its rate is split as in the sample.`),
  h("div", { class: "map-tables" }, h("section", { class: "card" }, h("h2", null, "Services"), table(
    [{ name: "Service" }, { name: "Counted" }, { name: "Rate", number: true }, { name: "Errors", number: true }, { name: "p99", number: true }, { name: "Links" }],
    nodes.filter((n) => n.kind === "service").map((n) => [n.name, n.stats?.counted ?? "none", n.stats ? withUnit(n.stats.rate, "cps") : "–", n.stats ? withUnit(n.stats.errors, "percentunit") : "–", n.stats ? time(n.stats.p99) : "–",
      h("span", null, h("a", { href: n.href }, "traces"), " · ", h("a", { href: dashboard(n) }, "dashboard"), " · ", h("a", { href: `/logs?service=${encodeURIComponent(n.name)}` }, "logs"))]), { caption: "Services" })),
  h("section", { class: "card" }, h("h2", null, "Calls"), table(
    [{ name: "From" }, { name: "To" }, { name: "Rate", number: true }, { name: "Errors", number: true }, { name: "p99", number: true }, { name: "In sample", number: true }],
    edges.map((e) => [e.from, e.kind === "db" ? `${e.to} (statements)` : e.to, withUnit(e.rate, "cps"), withUnit(e.errors, "percentunit"), e.p99 === null ? "–" : time(e.p99), String(e.calls)]), { caption: "Calls" }))));
  let vertical = null;
  const redraw = () => {
    const narrow = chart.clientWidth < 640;
    if (narrow === vertical) return;
    vertical = narrow;
    clear(chart).append(draw(nodes, drawn, narrow));
  };
  const observer = new ResizeObserver(redraw);
  observer.observe(chart);
  signal.addEventListener("abort", () => observer.disconnect());
  redraw();
}

// dashboard returns the most useful dashboard for a service.
const dashboard = (n) => (n.name === "loadgen" ? "/d/load-test" : n.stats?.counted === "requests handled" ? `/d/service-latency?var-service=${encodeURIComponent(n.name)}` : "/dashboards");

const time = (v) => (Number.isNaN(v) ? "–" : seconds(v));
