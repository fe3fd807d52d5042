// /map: the services, who calls whom, and how each does.
//
// Jaeger's own answer (/api/dependencies) is made, for the lab's storage, of the newest 100
// traces at most, and lacks services that were quiet meanwhile. So the calls are counted
// here, in a sample of each service's traces over the whole time, and the rates, errors and
// times are Prometheus': they count everything.

import { h, clear } from "../lib/dom.js";
import { jaeger, prom } from "../lib/api.js";
import { dateTime, seconds, withUnit } from "../lib/format.js";
import { empty, problem, select, table } from "../lib/ui.js";
import { build } from "../lib/trace.js";
import { calls, split } from "../lib/tracemap.js";
import { lookbacks } from "../lib/tracequery.js";
import { draw } from "../lib/tracemapview.js";

const slices = 3, perSlice = 30;
const backs = { "5m": 300, "15m": 900, "30m": 1800, "1h": 3600, "3h": 10800, "6h": 21600 };

export async function show(root, ctx) {
  delete root.dataset.loaded; // of the page before
  ctx.title("Map");
  let lookback = ctx.query.get("lookback") ?? "15m";
  if (!Object.hasOwn(backs, lookback)) lookback = "15m";
  const body = h("div");
  const load = async () => {
    const mine = lookback;
    body.setAttribute("aria-busy", "true");
    try {
      const found = await collect(backs[lookback], ctx.signal);
      if (mine === lookback && !ctx.signal.aborted) present(body, found, lookback, ctx.signal);
    } catch (error) {
      if (ctx.signal.aborted) return;
      clear(body).append(problem(error.message));
    }
    body.removeAttribute("aria-busy");
    root.dataset.loaded = "true";
  };
  root.append(h("div", { class: "head" }, h("h1", null, "Service map"), h("p", { class: "sub" }, "who calls whom")),
    h("div", { class: "tools" }, select("Time", lookbacks.filter(([v]) => backs[v]), lookback, (v) => {
      lookback = v;
      ctx.setQuery({ lookback: v }, { push: true });
      load();
    }), h("button", { type: "button", onclick: load }, "Again")), body);
  await load();
}

async function collect(length, signal) {
  const services = await jaeger.services(signal);
  const end = Date.now() / 1000, start = end - length;
  const [traces, facts] = await Promise.all([sample(services, start, end, signal), metrics(length, end, signal).catch((error) => {
    if (signal.aborted) throw error;
    return { problem: error.message, services: new Map(), sent: new Map(), databases: new Map() };
  })]);
  const counted = calls(traces);
  return { services, traces, facts, start, end, edges: edges(counted, facts) };
}

// sample returns some traces of each service, from each part of the time.
async function sample(services, start, end, signal) {
  const asked = [];
  for (const service of services) {
    for (let i = 0; i < slices; i++) {
      const part = (end - start) / slices;
      asked.push({ service, start: Math.round((start + i * part) * 1e6), end: Math.round((start + (i + 1) * part) * 1e6), limit: perSlice });
    }
  }
  const byID = new Map();
  for (const list of await Promise.all(asked.map((a) => jaeger.search(a, signal)))) {
    for (const data of list) byID.set(data.traceID, data);
  }
  return [...byID.values()].map(build);
}

// metrics asks Prometheus: of a service that answers requests, about these; of one that only
// sends some, about those; of others about their spans.
async function metrics(length, end, signal) {
  const one = async (query, key) => new Map((await prom.instant(query, end, signal)).map((r) => [key(r.metric), Number(r.value[1])]));
  const byService = (query) => one(query, (m) => m.service_name);
  const window = `[${length}s] anchored`;
  const histogram = (metric, bad) => Promise.all([
    byService(`histogram_count(sum by (service_name) (rate(${metric}${window})))`),
    byService(`histogram_count(sum by (service_name) (rate(${metric}{${bad}}${window})))`),
    byService(`histogram_quantile(0.99, sum by (service_name) (rate(${metric}${window})))`),
  ]);
  const [server, client, spans, databases] = await Promise.all([
    histogram("http_server_request_duration_seconds", 'http_response_status_code=~"5.."'),
    histogram("http_client_request_duration_seconds", 'error_type!="",http_response_status_code!~"4.."'),
    Promise.all([byService(`sum by (service_name) (rate(traces_span_metrics_calls_total${window}))`),
      byService(`sum by (service_name) (rate(traces_span_metrics_calls_total{status_code="STATUS_CODE_ERROR"}${window}))`),
      byService(`histogram_quantile(0.99, sum by (service_name) (rate(traces_span_metrics_duration_seconds${window})))`)]),
    one(`histogram_count(sum by (service_name, db_system_name) (rate(db_client_operation_duration_seconds${window})))`, (m) => JSON.stringify([m.service_name, m.db_system_name])),
  ]);
  const services = new Map();
  for (const [[rate, errors, p99], what] of [[spans, "spans"], [client, "requests sent"], [server, "requests answered"]]) {
    for (const [name, r] of rate) if (r > 0 && name) services.set(name, { what, rate: r, errors: (errors.get(name) ?? 0) / r, p99: p99.get(name) ?? NaN });
  }
  return { services, sent: client[0], databases };
}

function edges(counted, facts) {
  return split(counted, facts.sent).map((e) => (e.kind === "db" ? { ...e, rate: facts.databases.get(JSON.stringify([e.from, e.to])) ?? null } : e));
}

function present(body, { services, traces, facts, start, end, edges }, lookback, signal) {
  clear(body);
  if (!services.length && !facts.services.size) {
    body.append(empty("No service has sent spans yet.", h("p", null, "Start the lab with make lab-up, and send something: go run ./loadgen -rate 30")));
    return;
  }
  if (facts.problem) body.append(problem(`Without rates: ${facts.problem}`));
  const names = new Set([...services, ...edges.filter((e) => e.kind !== "db").flatMap((e) => [e.from, e.to])]);
  const nodes = [...names].sort().map((name) => ({ id: name, name, kind: "service", facts: facts.services.get(name) ?? null, href: `/traces?service=${encodeURIComponent(name)}&lookback=${lookback}` }));
  for (const name of new Set(edges.filter((e) => e.kind === "db").map((e) => e.to))) {
    const users = edges.filter((e) => e.kind === "db" && e.to === name);
    nodes.push({ id: `db ${name}`, name, kind: "database", facts: null, total: users.every((e) => e.rate !== null) ? users.reduce((sum, e) => sum + e.rate, 0) : null,
      href: `/traces?service=${encodeURIComponent(users[0].from)}&tags=${encodeURIComponent(`db.system.name=${name}`)}&lookback=${lookback}` });
  }
  const drawn = edges.map((e) => ({ ...e, to: e.kind === "db" ? `db ${e.to}` : e.to }));
  const chart = h("section", { class: "card map", tabindex: "0", role: "region", "aria-label": "Map" });
  body.append(chart, h("p", { class: "note" },
    `Made of ${traces.length} traces, up to ${perSlice} of each service from each third of ${dateTime(start * 1000)} to ${dateTime(end * 1000)}: they say who calls whom. Rates, errors and the 99th percentile count everything; they are Prometheus'. A caller's rate is split between several whom it calls as in the sample.`),
  h("div", { class: "map-tables" }, h("section", { class: "card" }, h("h2", null, "Services"), table(
    [{ name: "Service" }, { name: "What is counted" }, { name: "Rate", number: true }, { name: "Errors", number: true }, { name: "p99", number: true }, { name: "See" }],
    nodes.filter((n) => n.kind === "service").map((n) => [n.name, n.facts?.what ?? "quiet", n.facts ? withUnit(n.facts.rate, "cps") : "–", n.facts ? withUnit(n.facts.errors, "percentunit") : "–", n.facts ? time(n.facts.p99) : "–",
      h("span", null, h("a", { href: n.href }, "traces"), " · ", h("a", { href: dashboard(n) }, "dashboard"), " · ", h("a", { href: `/logs?service=${encodeURIComponent(n.name)}` }, "logs"))]), { caption: "Services" })),
  h("section", { class: "card" }, h("h2", null, "Calls"), table(
    [{ name: "From" }, { name: "To" }, { name: "Rate", number: true }, { name: "In the sample", number: true }, { name: "Failed there", number: true }, { name: "Mean there", number: true }],
    edges.map((e) => [e.from, e.kind === "db" ? `${e.to} (database)` : e.to, e.rate === null ? "–" : withUnit(e.rate, "cps"), String(e.calls), withUnit(e.errors / e.calls, "percentunit"), seconds(e.total / e.calls / 1e6)]), { caption: "Calls" }))));
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

// dashboard is the page that tells most of a service.
const dashboard = (n) => (n.name === "loadgen" ? "/d/load-test" : n.facts?.what === "requests answered" ? `/d/service-latency?var-service=${encodeURIComponent(n.name)}` : "/dashboards");

const time = (v) => (Number.isNaN(v) ? "–" : seconds(v));
