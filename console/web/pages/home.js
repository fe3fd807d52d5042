// What runs, what flows, what is wrong, and what to try.

import { h, clear } from "../lib/dom.js";
import { get, prom } from "../lib/api.js";
import { problem, empty, card, tile, copyable, every } from "../lib/ui.js";
import { plural, withUnit, seconds, bytes, dateTime } from "../lib/format.js";
import { badge, lossBadge, programBadge, verdictBadge, commands, elsewhere, span } from "../lib/lab.js";

// sum adds up what several counters rose by; those that are not there have not. One of the
// Collector that began within the range has risen by all that it counts: its SDK does not
// tell when it began, and its increase lacks its first value.
export const sum = (names, range) => names.map((n) =>
  `(sum((last_over_time(${n}[${range}]) unless ${n} offset ${range}) or increase(${n}[${range}] anchored)) or vector(0))`).join(" + ");
const signals = ["spans", "metric_points", "log_records"];
const through = '{service_name="otel-collector"}';
const lost = ["receiver_refused", "receiver_failed", "exporter_send_failed", "exporter_enqueue_failed"]
  .flatMap((what) => signals.map((s) => `otelcol_${what}_${s}_total`));
const dropped = ["otel_sdk_processor_span_processed_total", "otel_sdk_processor_log_processed_total", "otel_sdk_exporter_span_exported_total",
  "otel_sdk_exporter_log_exported_total", "otel_sdk_exporter_metric_data_point_exported_total"].map((n) => `${n}{error_type!=""}`);
const proxy = 'http_server_request_duration_seconds{service_name="proxy-service"}[1m] anchored';

const numbers = [
  ["Requests", "through the proxy", `sum(histogram_count(rate(${proxy})))`, "cps"],
  ["Errors", "5xx of the proxy, last minute", `(sum(histogram_count(rate(http_server_request_duration_seconds{service_name="proxy-service",http_response_status_code=~"5.."}[1m] anchored))) or vector(0)) / (sum(histogram_count(rate(${proxy}))) > 0)`, "errors"],
  ["p99", "of the proxy, last minute", `histogram_quantile(0.99, sum(rate(${proxy})))`, "s"],
  ["Spans", "to the Collector", `sum(rate(otelcol_receiver_accepted_spans_total${through}[1m] anchored))`, "cps"],
  ["Metric points", "to the Collector", `sum(rate(otelcol_receiver_accepted_metric_points_total${through}[1m] anchored))`, "cps"],
  ["Log records", "to the Collector", `sum(rate(otelcol_receiver_accepted_log_records_total${through}[1m] anchored))`, "cps"],
  ["Lost", "refused, failed, dropped in 30 min", `${sum(lost, "30m")} + ${sum(dropped, "30m")}`, "lost"],
];

export async function show(root, { signal, title }) {
  title("");
  const parts = { head: h("div", { class: "head" }), down: h("div"), tiles: h("div", { class: "tiles" }), programs: h("div"), alerts: h("div"), runs: h("div"), look: h("div"), next: h("div") };
  root.append(parts.head, parts.down, parts.tiles,
    h("div", { class: "columns" }, h("div", null, parts.programs, parts.runs), h("div", null, parts.alerts, parts.look, parts.next)));
  const refresh = async () => {
    const [lab, runs] = await Promise.allSettled([get("/-/lab", signal), get("/-/runs", signal)]);
    if (signal.aborted) return;
    if (!parts.head.childElementCount) put(parts.head, head(lab.value));
    put(parts.programs, programs(lab.value));
    put(parts.runs, latest(runs, lab.value));
    put(parts.down, down(lab));
    put(parts.next, next(lab.value));
    const [values, alerts] = await Promise.all([measure(signal), alertsNow(signal)]);
    if (signal.aborted) return;
    put(parts.head, head(lab.value, healthOf(values, alerts)));
    put(parts.tiles, values.tiles);
    put(parts.alerts, alertCard(alerts));
  };
  put(parts.look, look([]));
  const boards = get("/-/dashboards", signal).then((list) => put(parts.look, look(list)), () => {});
  await Promise.all([refresh(), boards]);
  every(5000, signal, refresh);
}

// put shows something else in a part of the page, and leaves it alone if nothing changed or
// the reader has selected something there.
function put(element, parts) {
  const list = [parts].flat().filter(Boolean);
  const now = list.map((e) => e.outerHTML ?? e).join("");
  if (element.shown === now) return;
  const links = [...element.querySelectorAll("a, button")], focus = links.indexOf(document.activeElement);
  const chosen = getSelection();
  if (!chosen.isCollapsed && element.contains(chosen.anchorNode)) return;
  element.shown = now;
  clear(element).append(...list);
  if (focus >= 0) element.querySelectorAll("a, button")[focus]?.focus({ preventScroll: true });
}

const phases = { up: "good", starting: "warn", stopping: "warn", unready: "bad", down: "bad", killed: "bad", silent: "bad" };

// limits are the shares of errors from which on they are worth a warning, or worse.
const limits = [[0.01, "bad"], [0.001, "warn"]];
export const severity = (errors) => limits.find(([least]) => errors >= least)?.[1] ?? "good";

// healthOf says what is wrong, and whether that is all: not if Prometheus is unavailable.
export const healthOf = (values, alerts) => ({ errors: values.errors, firing: alerts.list?.filter((a) => a.state === "firing").length ?? 0, known: values.known && !alerts.problem });

// head says what the lab is, and how it does: it is green only if nothing is wrong. Unless
// that is known, the badge has no colour.
export function head(lab, health) {
  const st = lab?.status, good = phases[lab?.phase] === "good";
  const failing = good && health && severity(health.errors ?? 0), firing = good && health?.firing > 0;
  const state = good ? (failing === "bad" ? "bad" : failing === "warn" || firing ? "warn" : health?.known ? "good" : "") : phases[lab?.phase];
  return [h("h1", null, "The lab"), lab && badge(`is ${lab.phase}`, state),
    failing && failing !== "good" && badge(`${withUnit(health.errors, "percentunit")} of the requests fail`, failing),
    firing && badge(`${plural(health.firing, "alert fires", "alerts fire")}`, "bad"),
    lab?.containers && h("span", { class: "sub" }, plural(st.programs.length, "container")),
    st && !lab.containers && h("span", { class: "sub" }, `${plural(st.programs.length, "component")}, ${bytes(st.memory_bytes)}, for ${span(st.started_at)}`)];
}

function down(lab) {
  if (lab.status === "rejected") return problem(lab.reason.message);
  const { phase, detail, folder } = lab.value;
  if (phase === "up" || phase === "starting") return null;
  if (lab.value.containers) return problem("Not all containers are ready. Look at them in the folder of the repository:", copyable(commands(lab.value.status.port_offset, "", true).ps));
  const cmd = commands(0, folder);
  const texts = { down: "The lab does not run. Start it in the folder of the repository:", stopping: "The lab is stopping.", killed: detail, silent: detail };
  return problem(texts[phase] ?? detail ?? "", phase === "down" && detail && h("p", null, detail), phase !== "stopping" && copyable(cmd.up),
    h("p", { class: "note" }, `Its folder is ${folder}.`));
}

// ways are where a browser finds something of a component: the address of most has no page.
export function ways({ name, address }, offset) {
  switch (name) {
    case "console": return [[`${address}/`, "page"]];
    case "proxy-service": case "album-store": return [[`${address}/v3/api-docs/`, "API"], [`${address}/status`, "status"]];
    case "otel-collector": return [[`http://127.0.0.1:${13133 + offset}/`, "health"]];
    case "jaeger": return [["/traces", "traces"]];
    case "prometheus": return [[`${address}/metrics`, "metrics"]];
    default: return [];
  }
}

const built = "The version of the Go module. Of Jaeger and Prometheus it is not the number of their release.";

function programs(lab) {
  const list = lab?.status?.programs;
  if (!list) return null;
  const cell = (name, value, more) => h("td", { class: more, "data-name": name }, value);
  const state = (p) => cell("State", [programBadge(p), p.detail && h("div", { class: "note" }, p.detail)]);
  if (lab.containers) {
    // Of the others only docker has the logs.
    const logs = (name) => name && h("a", { href: `/logs?service=${name}`, "aria-label": `Logs of ${name}` }, "logs");
    return card("Containers", h("table", { class: "programs" },
      h("thead", null, h("tr", null, ["Name", "State", ""].map((n, i) => h("th", { scope: "col", class: i > 1 && "n" }, n)))),
      h("tbody", null, list.toReversed().map((p) => h("tr", null, h("th", { scope: "row" }, p.name), state(p),
        cell("Logs", logs(/^(album-store|proxy-service)/.exec(p.name)?.[0]), "n"))))));
  }
  const rows = list.toReversed().map((p) => h("tr", null,
    h("th", { scope: "row" }, p.name),
    state(p),
    cell("Address", [h("span", { class: "mono" }, p.address.replace("http://", "")), ...ways(p, lab.status.port_offset ?? 0).map(([href, text]) => [" ", h("a", { href, "aria-label": `${text} of ${p.name}` }, text)])], "wide"),
    cell("Built from", h("span", { class: "version", title: p.version }, p.version || "–")),
    cell("Up for", p.process?.pid ? span(p.since) : "–", "n"),
    cell("Restarts", p.restarts ? badge(p.restarts, "warn") : "0", "n"),
    cell("Memory", p.memory_bytes ? bytes(p.memory_bytes) : "–", "n"),
    cell("Logs", h("a", { href: `/logs?service=${encodeURIComponent(p.name)}`, "aria-label": `Logs of ${p.name}` }, "logs"), "n")));
  return card("Components", h("table", { class: "programs" },
    h("thead", null, h("tr", null, ["Name", "State", "Address", "Built from", "Up for", "Restarts", "Memory", ""].map((n, i) => h("th", { scope: "col", class: i > 3 && "n", title: n === "Built from" && built }, n)))),
    h("tbody", null, rows)), elsewhere(lab.status.stores));
}

export async function measure(signal) {
  const values = await Promise.allSettled(numbers.map(([, , query]) => prom.instant(query, undefined, signal)));
  if (values.every((v) => v.status === "rejected")) return { tiles: h("p", { class: "note" }, `No numbers: ${values[0].reason.message}`), errors: null, known: false };
  const of = (i) => {
    const found = values[i].value?.[0]?.value?.[1];
    return found === undefined ? null : Number(found);
  };
  const tiles = numbers.map(([name, note, , unit], i) => {
    const value = of(i);
    if (unit === "errors") return tile(name, withUnit(value, "percentunit"), note, value === null ? "" : severity(value));
    if (unit !== "lost") return tile(name, withUnit(value === 0 && unit === "s" ? null : value, unit), note);
    return tile(name, value === null ? "–" : withUnit(Math.ceil(value)), note, value === null ? "" : value > 0 ? "bad" : "good");
  });
  const errors = numbers.findIndex(([name]) => name === "Errors");
  return { tiles, errors: of(errors), known: values[errors].status === "fulfilled" };
}

export async function alertsNow(signal) {
  try {
    return { list: (await get("/-/prometheus/api/v1/alerts", signal))?.data.alerts ?? [] };
  } catch (error) {
    return { problem: error.message };
  }
}

function alertCard({ list, problem: text }) {
  if (text) return card("Alerts", h("p", { class: "note" }, text));
  const rank = { firing: 0, pending: 1 };
  list = list.filter((a) => a.state in rank).sort((a, b) => rank[a.state] - rank[b.state] || a.labels.alertname.localeCompare(b.labels.alertname));
  if (!list.length) return card("Alerts", h("p", { class: "calm" }, badge("quiet", "good"), " No alert is firing."));
  return card("Alerts", h("ul", { class: "plain" }, list.map((a) => h("li", null,
    badge(a.state, a.state === "firing" ? "bad" : "warn"), " ", named(a),
    h("span", { class: "note" }, ` for ${span(a.activeAt)}`),
    [a.annotations?.summary, a.annotations?.description].filter(Boolean).map((text) => h("p", { class: "note" }, text))))));
}

// named is an alert's name; it leads to the dashboard that tells more.
function named({ labels, annotations }) {
  const name = h("strong", null, labels.alertname), href = annotations?.dashboard;
  return href?.startsWith("/d/") ? h("a", { href }, name) : name;
}

function latest(runs, lab) {
  if (runs.status === "rejected") return card("Latest runs", h("p", { class: "note" }, runs.reason.message));
  const list = runs.value.runs.slice(0, 5);
  if (!list.length) return card("Latest runs", empty("loadgen has kept no run yet.", copyable(commands(lab?.status?.port_offset, runs.value.folder.replace(/\/runs$/, "")).load)));
  return card("Latest runs", h("ul", { class: "plain runs" }, list.map((r) => h("li", null,
    r.finished ? h("a", { href: `/runs/${encodeURIComponent(r.id)}`, class: "mono" }, r.id) : h("span", { class: "mono" }, r.id),
    h("span", { class: "note", title: dateTime(Date.parse(r.started_at)) }, r.started_at ? `${span(r.started_at)} ago` : ""),
    h("span", { class: "what" }, r.finished && r.sent ? `${withUnit(r.rate_actual, "reqps")}, p99 ${seconds(r.p99)}` : ""), h("span", { class: "verdicts" }, lossBadge(r), " ", verdictBadge(r))))),
  h("p", { class: "after" }, h("a", { href: "/runs" }, "All runs")));
}

function look(boards) {
  const links = [["/traces", "Traces", "search them"], ["/map", "Map", "who calls whom"], ["/logs?follow=1", "Logs", "as they come"],
    ["/logs?level=warn", "Warnings", "of the programs"]];
  return card("Look", h("ul", { class: "plain links" },
    (Array.isArray(boards) ? boards : []).map((b) => h("li", null, h("a", { href: `/d/${encodeURIComponent(b.uid)}`, title: b.description }, b.title))),
    links.map(([href, name, note]) => h("li", null, h("a", { href }, name), h("span", { class: "note" }, ` ${note}`)))));
}

function next(lab) {
  const cmd = commands(lab?.status?.port_offset ?? 0, lab?.containers ? "" : lab?.folder, lab?.containers);
  const step = (text, ...list) => [h("p", { class: "note" }, text), list.map(copyable)];
  return card("Try next", step("Ask for an album.", cmd.album), step("Make a thousand albums.", cmd.data), step("Send load, and see how it comes out under Runs.", cmd.load),
    // The faults of a store that runs elsewhere are not known to be reachable.
    lab?.status?.stores?.length || lab?.containers && !lab.status.programs.some((p) => p.name === "album-store-1") ? [] : step("Make some calls of the database slow, find them in the traces, and clear the fault again.", cmd.slow, cmd.heal()));
}
