// One load test: verdict, results over time, and slowest requests.

import { h } from "../lib/dom.js";
import { address, get } from "../lib/api.js";
import { problem, card, tile, table } from "../lib/ui.js";
import { clock, plural, withUnit, seconds, dateTime } from "../lib/format.js";
import { badge, lossBadge, shares, verdictBadge } from "../lib/lab.js";
import { notFound } from "../lib/notfound.js";
import { curve } from "../lib/curve.js";
import { runProfiles } from "../lib/profiles.js";
import { live } from "../lib/live.js";

export async function show(root, { params, signal, title }) {
  title(params.id);
  root.replaceChildren(); // of the live view
  let run;
  try {
    run = await get(`/-/runs/${encodeURIComponent(params.id)}`, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (error.status === 404 && await live(root, params.id, signal, () => show(root, { params, signal, title }))) return;
    if (error.status === 404) notFound(root, "Run not found", `${error.message}.`, [["/runs", "All runs"], ["/", "Home"]]);
    else root.append(h("h1", null, "Run"), problem(error.message), h("p", null, h("a", { href: "/runs" }, "All runs")));
    return;
  }
  const r = run.report;
  const links = h("p", { class: "links" });
  root.append(h("div", { class: "head" }, h("h1", { class: "mono" }, run.id), verdictBadge(run), lossBadge(r), r.name && h("strong", null, r.name), !r.invalid?.length && h("span", { class: "sub" }, run.because)), links,
    ...(r.invalid ?? []).map((reason, i) => problem(`The numbers cannot be trusted: ${reason}${run.advice?.[i] ? `; ${run.advice[i]}` : ""}.`)), r.ended ? problem(`Ended early: ${r.ended}`) : "",
    tiles(r));
  root.append(h("div", { class: "columns" },
    h("div", null, overTime(r, signal), scenarios(r), causes(r)),
    h("div", null, objectives(r), slowest(r), slowestUsers(r), details(r, run), files(run))));
  runProfiles(run.id, signal).then((list) => list && root.querySelector(".columns > div:last-child").prepend(list), () => {}); // a report is more
  fillLinks(links, r, run);
}

// rangeOf returns start and end of a run, in ms since the epoch. Its duration includes the warm-up.
export function rangeOf(r) {
  const start = Date.parse(r.started_at);
  return [start, start + r.elapsed * 1e3];
}

// measuredAt returns when the measured part of a run began, in ms since the epoch: its intervals begin there.
const measuredAt = (r) => Date.parse(r.started_at) + (r.warm_up_time ?? 0) * 1e3;

// pagesAt returns links [address, text] to the dashboard, traces and logs of a time range in ms; around is the time
// in ms that the dashboard shows before and after it.
export function pagesAt(r, from, to, around = 15e3) {
  const [start, end] = [Math.floor(from), Math.ceil(to)];
  return [
    [address("/d/load-test", { from: start - around, to: end + 2 * around, "var-run": r.run_id }), "Load test dashboard"],
    [address("/d/service-latency", { from: start - around, to: end + 2 * around }), "Service latency"],
    [address("/traces", { service: "loadgen", tags: `soundcheck.loadgen.run=${r.run_id}`, start: start * 1e3, end: end * 1e3, sort: "longest", limit: 1500 }), "Traces"],
    [address("/logs", { since: start, until: end }), "Logs"],
  ];
}

function fillLinks(element, r, run) {
  const [start, end] = rangeOf(r);
  const has = (name) => run.files.includes(name);
  element.append(...[
    has("report.html") && h("a", { href: `/-/runs/${encodeURIComponent(run.id)}/report.html`, target: "_blank", rel: "noopener" }, "Full report ↗"),
    ...pagesAt(r, start, end).map(([href, text]) => h("a", { href }, text)),
    h("a", { href: `/logs?since=${Math.floor(start)}&until=${Math.ceil(end)}&level=warn` }, "Warnings during the run"),
  ].filter(Boolean));
}

function tiles(r) {
  const c = r.classes ?? {}, completed = r.sent - r.cancelled, bad = (c.failed ?? 0) + (c.shed ?? 0), good = c.good ?? 0;
  return h("div", { class: "tiles" },
    tile("Actual rate", withUnit(r.rate_actual, "reqps"), r.flow ? users(r) : r.rate_target ? `of ${withUnit(r.rate_target, "reqps")} target` : plural(r.workers, "worker")),
    tile("p50", seconds(r.response_time.p50), `response time, ${r.response_time.count} served`), tile("p99", seconds(r.response_time.p99), "1% took longer"),
    tile("Max", seconds(r.response_time.max), `p99.9 ${seconds(r.response_time.p999)}`),
    tile("Good", shares(good, completed)[0], `${good} of ${plural(completed, "request")}`, good === completed ? "good" : ""),
    tile("Failed and shed", String(bad), c.late ? `${c.late} late` : "", bad ? "bad" : "good"));
}

// users describes the users of a flow.
function users(r) {
  const f = r.flow;
  return r.model === "open" ? `new users/s ${r.stages}` : f.users ? `users ${f.users}` : plural(r.workers, "user");
}

function overTime(r, signal) {
  const list = r.intervals ?? [];
  if (!list.length) return null;
  const xs = list.map((i) => i.at), kinds = [["good", "good", "c3"], ["late", "late", "c7"], ["shed", "shed", "c2"], ["failed", "failed", "c5"]];
  const of = (pick) => list.map((i) => (i.response_time.count ? pick(i.response_time) : null));
  return card("Over time", h("h3", { class: "note" }, "Response time"),
    curve("Response time", xs, [{ name: "p50", values: of((t) => t.p50), colour: "c1" }, { name: "p90", values: of((t) => t.p90), colour: "c4" }, { name: "p99", values: of((t) => t.p99), colour: "c2" }], { format: (v) => seconds(v, 2), signal, height: 220 }),
    h("h3", { class: "note" }, "Request rate"),
    curve("Request rate", xs, kinds.filter(([name]) => name === "good" || r.classes?.[name]).map(([name, key, colour]) =>
      ({ name, values: list.map((i) => (i.classes?.[key] ?? 0) / i.seconds), colour })).concat(r.rate_target ? [{ name: "target rate", values: list.map((i) => i.rate_target), colour: "c8" }] : []),
    { format: (v) => withUnit(v), signal, height: 170 }), moment(r, list));
}

// slowestOf returns the index of the interval with the highest p99.
export const slowestOf = (list) => list.reduce((best, i, n) => ((i.response_time.p99 ?? 0) > (list[best].response_time.p99 ?? 0) ? n : best), 0);

// moment links to the pages of one interval of a run, at first the slowest.
function moment(r, list) {
  const links = h("span", { class: "links" }), output = h("output"), first = slowestOf(list);
  const pick = h("input", { type: "range", min: "0", max: String(list.length - 1), step: "1", value: String(first), "aria-label": "Time in the run" });
  const update = () => {
    const n = Number(pick.value), i = list[n], from = measuredAt(r) + i.at * 1e3;
    output.textContent = `${seconds(i.at)} (${clock(from)})${i.response_time.count ? `, p99 ${seconds(i.response_time.p99)}` : ""}${n === first ? ", slowest" : ""}`;
    pick.setAttribute("aria-valuetext", output.textContent);
    links.replaceChildren(...pagesAt(r, from, from + i.seconds * 1e3).map(([href, text]) => h("a", { href }, text)));
  };
  pick.addEventListener("input", update);
  update();
  return h("div", { class: "moment" }, h("h3", { class: "note" }, "At one moment"), pick, output, links);
}

const time = (name) => ({ name, number: true });

function scenarios(r) {
  const rows = (r.scenarios ?? []).map((s) => [s.name, String(s.requests), String(s.response_time.count), ...["p50", "p90", "p99", "p999", "max"].map((p) => (s.response_time.count ? seconds(s.response_time[p]) : "–")),
    h("span", { class: "statuses" }, Object.entries(s.statuses ?? {}).map(([code, n], i) => [i > 0 && ", ", h("span", null, `${code === "0" ? "no response" : code}: ${n}`)]))]);
  // Service time and send delay cover all sent requests, response time the served ones.
  const line = (name, t, sent, served) => rows.push([name, String(sent), served, ...["p50", "p90", "p99", "p999", "max"].map((p) => (t.count ? seconds(t[p]) : "–")), ""]);
  const f = r.flow;
  if (f) line(`flow ${f.name}: completed users`, f.duration, f.begun, String(f.completed));
  line("all requests", r.response_time, r.sent - r.cancelled, String(r.response_time.count));
  line("service time (all sent)", r.service_time, r.service_time.count, "");
  line("send delay (all sent)", r.send_delay, r.send_delay.count, "");
  return card(f ? "Response time by step" : "Response time by scenario", table([{ name: "" }, time("sent"), time("served"), time("p50"), time("p90"), time("p99"), time("p99.9"), time("max"), { name: "status codes" }], rows),
    f?.unfinished > 0 && h("p", { class: "note" }, `The row of the flow has completed users only. ${plural(f.unfinished, "user")} had not finished when the run ended${f.unfinished_max ? `: the longest time so far was ${seconds(f.unfinished_max)}` : ""}.`));
}

const traceLink = (id, text) => h("a", { href: `/trace/${encodeURIComponent(id)}`, class: "mono", title: id }, text ?? `…${id.slice(-8)}`);

function slowest(r) {
  if (!r.slowest?.length) return null;
  // Reports of an older loadgen do not have the time of a request.
  const pages = (s) => h("span", { class: "links" }, s.trace_id && h("a", { href: `/logs?trace=${encodeURIComponent(s.trace_id)}` }, "Logs"),
    s.scheduled_at && h("a", { href: pagesAt(r, Date.parse(s.scheduled_at), Date.parse(s.scheduled_at) + s.response_time * 1e3)[0][0], title: dateTime(Date.parse(s.scheduled_at)) }, "Dashboard"));
  return card("Slowest requests", table([time("response time"), { name: "scenario" }, { name: "status" }, { name: "trace" }, { name: "at that time" }],
    r.slowest.map((s) => [seconds(s.response_time), s.scenario, s.status ? String(s.status) : "no response", s.trace_id ? traceLink(s.trace_id) : "not sampled", pages(s)])),
  r.send_delay?.count > 0 && h("p", { class: "note" }, `Response time starts when the request was scheduled, its trace when the request was sent: up to ${seconds(r.send_delay.max)} later in this run.`));
}

function slowestUsers(r) {
  if (!r.flow?.slowest?.length) return null;
  return card("Slowest users", table([time("time for the flow"), { name: "trace" }, { name: "logs" }],
    r.flow.slowest.map((s) => [seconds(s.response_time), s.trace_id ? traceLink(s.trace_id) : "not sampled", s.trace_id ? h("a", { href: `/logs?trace=${encodeURIComponent(s.trace_id)}` }, "Logs") : ""])));
}

function causes(r) {
  if (!r.tail_attribution?.length) return null;
  return card("Tail-latency attribution", r.tail_attribution.map((a) => h("div", { class: "reason" },
    h("h3", null, a.scenario), h("p", { class: "note" }, `The ${a.slow} slowest requests took ${seconds(a.difference)} longer than ${a.typical} typical ones. Traces found: ${a.slow_found} of the slowest, ${a.typical_found} of the typical. ${a.missing ?? ""}`),
    causeTable(a.causes?.slice(0, shownCauses)),
    a.causes?.length > shownCauses && h("details", null, h("summary", { class: "note" }, plural(a.causes.length - shownCauses, "smaller cause")), causeTable(a.causes.slice(shownCauses))))));
}

const shownCauses = 3;

function causeTable(list) {
  if (!list?.length) return null;
  return table([time("added latency"), time("share"), { name: "service" }, { name: "operation" }, { name: "worst trace" }],
    list.map((c) => [seconds(c.difference), withUnit(c.share, "percentunit", 0), c.service, `${c.name} (${c.kind})`, c.trace_id ? traceLink(c.trace_id) : ""]));
}

function objectives(r) {
  if (!r.slos?.length) return null;
  return card("SLOs", h("ul", { class: "plain" }, r.slos.map((v) => h("li", null, badge(v.met ? "met" : "violated", v.met ? "good" : "bad"), " ", h("code", null, v.slo), ` ${v.text}`,
    v.generator && h("p", { class: "note" }, "It would have been met if every request had been sent as scheduled."), !v.met && v.steady && h("p", { class: "note" }, "It was met in the last third of the run.")))));
}

// peakBound is what the peak of users is: processes may have had theirs at different times.
const peakBound = (r) => r.processes > 1 && (r.model === "open" || r.flow.users && r.max_requests) ? "at most" : "peak";

// planned is what the number of a plan is: that of Poisson arrivals is random.
const planned = (r) => r.arrivals === "poisson" && (!r.limit || r.limit === "plan") ? "expected" : "planned";

function details(r, run) {
  const list = [["Target", r.target], ["Started", dateTime(Date.parse(r.started_at))], ["Duration", seconds(r.elapsed)], ["Plan", r.replay ? `replay of ${r.replay}` : r.flow ? `flow ${r.flow.name}: ${users(r)}${r.flow.think ? `, think time ${r.flow.think}` : ""}` : r.stages || plural(r.workers, "worker")],
    ["Users", r.flow ? `${r.flow.begun}${r.flow.planned ? ` of ${r.flow.planned} ${planned(r)}` : ""}: ${r.flow.completed} completed, ${r.flow.failed} failed, ${r.flow.unfinished} unfinished; ${peakBound(r)} ${r.flow.users_peak} at once` : null],
    ["Arrivals", r.arrivals], ["Requests", r.planned ? `${r.sent} of ${r.planned} ${planned(r)}` : r.sent], ["Cancelled at the end", r.cancelled || null], ["Warm-up", r.warm_up_time ? `${seconds(r.warm_up_time)}, ${plural(r.warm_up ?? 0, "request")}` : null],
    ["Shard", r.shard], ["Peak in-flight", `${r.in_flight_peak} of at most ${r.max_workers}`], ["Garbage collection", `${plural(r.gc.pauses, "pause")}, longest ${seconds(r.gc.longest)}`],
    ["Retries", r.retries?.policy ? `${r.retries.policy}: ${plural(r.retries.requests, "request")} retried, ${r.retries.served} of them served` : null],
    ["Retry-After", r.retry_after.given ? `${plural(r.retry_after.given, "response")}; then ${r.retry_after.kept} accepted, ${r.retry_after.broken} shed again` : null],
    ...Object.entries(r.errors ?? {}).map(([what, n]) => [`Errors: ${what}`, n]), ["First error", r.first_error], ["Random seed", r.seed], ["Folder", run.folder]];
  return card("Details", h("dl", { class: "properties" }, list.filter(([, v]) => v !== null && v !== undefined && v !== "").map(([name, value]) => [h("dt", null, name), h("dd", null, String(value))])));
}

function files(run) {
  return card("Files", h("ul", { class: "plain links" }, run.files.map((name) =>
    h("li", null, h("a", { href: `/-/runs/${encodeURIComponent(run.id)}/${name}`, target: "_blank", rel: "noopener", class: "mono" }, name)))));
}
