// The lab at a glance: components, throughput, alerts, latest runs and next steps.

import { h, clear } from "../lib/dom.js";
import { get, prom } from "../lib/api.js";
import { problem, card, tile, copyable, every } from "../lib/ui.js";
import { plural, withUnit, seconds, bytes, dateTime } from "../lib/format.js";
import { ALL, interpolate } from "../lib/vars.js";
import { badge, lossBadge, componentBadge, verdictBadge, commands, externalStores, noRuns, runsFolder, platform, age } from "../lib/lab.js";

const collector = '{service_name="otel-collector"}';
const proxy = 'http_server_request_duration_seconds{service_name="proxy-service"}[1m] anchored';

const numbers = [
  ["Request rate", "proxy, last minute", `sum(histogram_count(rate(${proxy})))`, "cps"],
  ["5xx ratio", "proxy, last minute", `(sum(histogram_count(rate(http_server_request_duration_seconds{service_name="proxy-service",http_response_status_code=~"5.."}[1m] anchored))) or vector(0)) / (sum(histogram_count(rate(${proxy}))) > 0)`, "errors"],
  ["p99 latency", "proxy, last minute", `histogram_quantile(0.99, sum(rate(${proxy})))`, "s"],
  ["Spans", "Collector, last minute", `sum(rate(otelcol_receiver_accepted_spans_total${collector}[1m] anchored))`, "cps"],
  ["Metric points", "Collector, last minute", `sum(rate(otelcol_receiver_accepted_metric_points_total${collector}[1m] anchored))`, "cps"],
  ["Log records", "Collector, last minute", `sum(rate(otelcol_receiver_accepted_log_records_total${collector}[1m] anchored))`, "cps"],
  ["Lost telemetry", "last 30 minutes", null, "lost"],
];

// lostTelemetry is the query of the last tile: all stages of the dashboard's panel, in 30 minutes.
export async function lostTelemetry(signal) {
  const { panels } = await get("/-/dashboards/pipeline", signal);
  const { targets } = panels.find((p) => p.title === "Lost telemetry by stage");
  return targets.map((t) => `(${interpolate(t.expr, { environment: [ALL] }, [], 1800, 15)})`).join(" + ");
}
let lost = null;

export async function show(root, { signal, title }) {
  title("");
  const parts = { head: h("div", { class: "head" }), down: h("div"), tiles: h("div", { class: "tiles" }), components: h("div"), alerts: h("div"), runs: h("div"), explore: h("div"), nextSteps: h("div") };
  root.append(parts.head, parts.down, parts.tiles,
    h("div", { class: "columns" }, h("div", null, parts.components, parts.runs), h("div", null, parts.alerts, parts.explore, parts.nextSteps)));
  const refresh = async () => {
    const [lab, runs] = await Promise.allSettled([get("/-/lab", signal), get("/-/runs", signal)]);
    if (signal.aborted) return;
    if (!parts.head.childElementCount) replace(parts.head, head(lab.value));
    replace(parts.components, components(lab.value));
    replace(parts.runs, latest(runs, lab.value));
    replace(parts.down, down(lab));
    replace(parts.nextSteps, nextSteps(lab.value));
    const [values, alerts] = await Promise.all([measure(signal), alertsNow(signal)]);
    if (signal.aborted) return;
    replace(parts.head, head(lab.value, healthOf(values, alerts)));
    replace(parts.tiles, values.tiles);
    replace(parts.alerts, alertCard(alerts));
  };
  replace(parts.explore, explore([]));
  const boards = get("/-/dashboards", signal).then((list) => replace(parts.explore, explore(list)), () => {});
  await Promise.all([refresh(), boards]);
  every(5000, signal, refresh);
}

// put replaces the content of an element, unless it is unchanged or contains the selection.
function replace(element, parts) {
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

// limits are the error ratios from which on the state is bad or a warning.
const limits = [[0.01, "bad"], [0.001, "warn"]];
export const severity = (errors) => limits.find(([least]) => errors >= least)?.[1] ?? "good";

// healthOf summarizes errors and alerts. They are known only if Prometheus is available.
export const healthOf = (values, alerts) => ({ errors: values.errors, firing: alerts.list?.filter((a) => a.state === "firing").length ?? 0, known: values.known && !alerts.problem });

// head shows the phase and the health of the lab. The badge is green only if the lab is healthy,
// and has no colour while that is unknown.
export function head(lab, health) {
  const st = lab?.status, good = phases[lab?.phase] === "good";
  const failing = good && health && severity(health.errors ?? 0), firing = good && health?.firing > 0;
  const state = good ? (failing === "bad" ? "bad" : failing === "warn" || firing ? "warn" : health?.known ? "good" : "") : phases[lab?.phase];
  return [h("h1", null, "Lab"), lab && badge(lab.phase, state),
    failing && failing !== "good" && badge(`${withUnit(health.errors, "percentunit")} of requests fail`, failing),
    firing && badge(`${plural(health.firing, "alert firing", "alerts firing")}`, "bad"),
    lab?.containers && h("span", { class: "sub" }, plural(st.programs.length, "container")),
    st && !lab.containers && h("span", { class: "sub" }, `${plural(st.programs.length, "component")}, ${bytes(st.memory_bytes)}, up for ${age(st.started_at)}`)];
}

// down is what to do while the lab is not up, or some of its containers are not.
export function down(lab) {
  if (lab.status === "rejected") return problem(lab.reason.message);
  const { phase, detail, folder } = lab.value;
  if (phase === "up" || phase === "starting") return null;
  if (lab.value.containers) return problem("Some containers are not ready. Check them from the repository folder:", copyable(commands(lab.value.status.port_offset).ps));
  const cmd = commands(0, folder);
  const texts = { down: "The lab is down. Start it from the repository folder:", stopping: "The lab is stopping.", killed: detail, silent: detail };
  return problem(texts[phase] ?? detail ?? "", phase === "down" && detail && h("p", null, detail), phase !== "stopping" && copyable(cmd.up),
    h("p", { class: "note" }, `State folder: ${folder}`));
}

// browserLinks are the pages of a component: most addresses have none at their root. Some programs
// have web pages of their own.
export function browserLinks({ name, address, pages }, offset) {
  const own = pages ? [[pages, "page"]] : [];
  switch (name) {
    case "console": return [[`${address}/`, "page"]];
    case "proxy-service": case "album-store": return [[`${address}/v3/api-docs/`, "API"], [`${address}/status`, "status"]];
    case "otel-collector": return [[`http://127.0.0.1:${13133 + offset}/`, "health"]];
    case "jaeger": return [...own, ["/traces", "traces"]];
    case "prometheus": return [...own, [`${address}/metrics`, "metrics"]];
    default: return own;
  }
}

const versionTitle = "Of a built program the Go module version. For Jaeger and Prometheus it differs from the release version.";
const origin = (p) => !p.from ? null : p.from === "built" || p.from === "release" ? `Program: ${p.from}` : `Program: ${p.path} (${p.from})`;

function components(lab) {
  const list = lab?.status?.programs;
  if (!list) return null;
  const cell = (name, value, more) => h("td", { class: more, "data-name": name }, value);
  const state = (p) => cell("State", [componentBadge(p), p.detail && h("div", { class: "note" }, p.detail)]);
  if (lab.containers) {
    // The logs of other containers are available from docker or kubectl only.
    const logs = (name) => name && h("a", { href: `/logs?service=${name}`, "aria-label": `Logs of ${name}` }, "logs");
    return card("Containers", h("table", { class: "programs" },
      h("thead", null, h("tr", null, ["Name", "State", ""].map((n, i) => h("th", { scope: "col", class: i > 1 && "n" }, n)))),
      h("tbody", null, list.toReversed().map((p) => h("tr", null, h("th", { scope: "row" }, p.name), state(p),
        cell("Logs", logs(/^(album-store|proxy-service)/.exec(p.name)?.[0]), "n"))))));
  }
  const rows = list.toReversed().map((p) => h("tr", null,
    h("th", { scope: "row" }, p.name),
    state(p),
    cell("Address", [h("span", { class: "mono" }, p.address.replace("http://", "")), ...browserLinks(p, lab.status.port_offset ?? 0).map(([href, text], i) => [i ? " · " : " ", h("a", { href, "aria-label": `${text} of ${p.name}` }, text)])], "wide"),
    cell("Version", h("span", { class: "version", title: [p.version, origin(p)].filter(Boolean).join(", ") }, p.version || "–")),
    cell("Uptime", p.process?.pid ? age(p.since) : "–", "n"),
    cell("Restarts", p.restarts ? badge(p.restarts, "warn") : "0", "n"),
    cell("Memory", p.memory_bytes ? bytes(p.memory_bytes) : "–", "n"),
    cell("Logs", h("a", { href: `/logs?service=${encodeURIComponent(p.name)}`, "aria-label": `Logs of ${p.name}` }, "logs"), "n")));
  return card("Components", h("table", { class: "programs" },
    h("thead", null, h("tr", null, ["Name", "State", "Address", "Version", "Uptime", "Restarts", "Memory", ""].map((n, i) => h("th", { scope: "col", class: i > 3 && "n", title: n === "Version" && versionTitle }, n)))),
    h("tbody", null, rows)), externalStores(lab.status.stores));
}

export async function measure(signal) {
  const values = await Promise.allSettled(numbers.map(async ([, , query]) => prom.instant(query ?? (lost ??= await lostTelemetry(signal)), undefined, signal)));
  if (values.every((v) => v.status === "rejected")) return { tiles: h("p", { class: "note" }, `No metrics: ${values[0].reason.message}`), errors: null, known: false };
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
  const errors = numbers.findIndex(([, , , unit]) => unit === "errors");
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
  if (!list.length) return card("Alerts", h("p", { class: "muted" }, badge("OK", "good"), " No alerts firing."));
  return card("Alerts", h("ul", { class: "plain" }, list.map((a) => h("li", null,
    badge(a.state, a.state === "firing" ? "bad" : "warn"), " ", named(a),
    h("span", { class: "note" }, ` for ${age(a.activeAt)}`),
    [a.annotations?.summary, a.annotations?.description].filter(Boolean).map((text) => h("p", { class: "note" }, text))))));
}

// named is the name of an alert, linked to its dashboard.
function named({ labels, annotations }) {
  const name = h("strong", null, labels.alertname), href = annotations?.dashboard;
  return href?.startsWith("/d/") ? h("a", { href }, name) : name;
}

export function latest(runs, lab) {
  if (runs.status === "rejected") return card("Latest runs", h("p", { class: "note" }, runs.reason.message));
  const list = runs.value.runs.slice(0, 5);
  if (!list.length) return card("Latest runs", noRuns("No runs yet.", commands(lab?.status?.port_offset, runs.value.folder.replace(/\/runs$/, "")).load));
  return card("Latest runs", h("ul", { class: "plain runs" }, list.map((r) => h("li", null,
    r.finished ? h("a", { href: `/runs/${encodeURIComponent(r.id)}`, class: "mono" }, r.id) : h("span", { class: "mono" }, r.id),
    h("span", { class: "note", title: dateTime(Date.parse(r.started_at)) }, r.started_at ? `${age(r.started_at)} ago` : ""),
    h("span", { class: "what" }, r.finished && r.sent ? `${withUnit(r.rate_actual, "reqps")}, p99 ${seconds(r.p99)}` : ""), h("span", { class: "verdicts" }, lossBadge(r), " ", verdictBadge(r))))),
  h("p", { class: "after" }, h("a", { href: "/runs" }, "All runs")));
}

function explore(boards) {
  const links = [["/explore", "Explore", "PromQL queries"], ["/traces", "Traces", "search"], ["/map", "Map", "calls between services"], ["/logs?follow=1", "Logs", "live"],
    ["/logs?level=warn", "Warnings", "from all components"]];
  return card("Dashboards and pages", h("ul", { class: "plain links" },
    (Array.isArray(boards) ? boards : []).map((b) => h("li", null, h("a", { href: `/d/${encodeURIComponent(b.uid)}`, title: b.description }, b.title))),
    links.map(([href, name, note]) => h("li", null, h("a", { href }, name), h("span", { class: "note" }, ` ${note}`)))));
}

export function nextSteps(lab) {
  const cmd = commands(lab?.status?.port_offset ?? 0, lab?.containers ? "" : lab?.folder);
  const step = (text, ...list) => [h("p", { class: "note" }, text), list.filter(Boolean).map(copyable)];
  return card("Next steps", step("Get an album.", cmd.album), step("Create 1,000 albums.", cmd.data),
    step(`Run a load test. The result ${platform() === "kubernetes" ? `stays ${runsFolder}` : "is under Runs"}.`, cmd.load),
    // An external store may not have the faults endpoint.
    lab?.status?.stores?.length || lab?.containers && !lab.status.programs.some((p) => /^album-store(-1)?$/.test(p.name)) ? [] : step("Inject database latency, find it in the traces, then clear the fault.", cmd.forward(), cmd.slow, cmd.clearFaults()));
}
