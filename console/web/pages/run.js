// One run of loadgen: how it came out, how it went over time, and its slowest requests.

import { h } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { problem, card, tile, table } from "../lib/ui.js";
import { plural, withUnit, seconds, dateTime } from "../lib/format.js";
import { badge, lossBadge, shares, verdictBadge } from "../lib/lab.js";
import { notFound } from "../lib/notfound.js";
import { curve } from "../lib/curve.js";

export async function show(root, { params, signal, title }) {
  title(params.id);
  let answer;
  try {
    answer = await get(`/-/runs/${encodeURIComponent(params.id)}`, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (error.status === 404) notFound(root, "No such run", `${error.message}.`, [["/runs", "All runs"], ["/", "Home"]]);
    else root.append(h("h1", null, "A run"), problem(error.message), h("p", null, h("a", { href: "/runs" }, "All runs")));
    return;
  }
  const r = answer.report;
  const links = h("p", { class: "links" });
  root.append(h("div", { class: "head" }, h("h1", { class: "mono" }, answer.id), verdictBadge(answer), lossBadge(r), !r.invalid?.length && h("span", { class: "sub" }, answer.because)), links,
    ...(r.invalid ?? []).map((why) => problem(`The numbers cannot be trusted: ${why}`)), r.ended ? problem(`It was ended before its time: ${r.ended}`) : "",
    tiles(r));
  root.append(h("div", { class: "columns" },
    h("div", null, over(r, signal), scenarios(r), causes(r)),
    h("div", null, objectives(r), slowest(r), facts(r, answer), files(answer))));
  fillLinks(links, r, answer, await get("/-/dashboards", signal).catch(() => []));
}

function fillLinks(element, r, answer, boards) {
  const start = Date.parse(r.started_at), end = start + ((r.warm_up_time ?? 0) + r.elapsed) * 1e3;
  const time = `from=${Math.floor(start - 15e3)}&to=${Math.ceil(end + 30e3)}`;
  const has = (name) => answer.files.includes(name);
  element.append(...[
    has("report.html") && h("a", { href: `/-/runs/${encodeURIComponent(answer.id)}/report.html`, target: "_blank", rel: "noopener" }, "The whole report ↗"),
    h("a", { href: `/logs?since=${Math.floor(start)}&until=${Math.ceil(end)}&level=warn` }, "Warnings of the time"),
    ...(Array.isArray(boards) ? boards : []).filter((b) => /load.?test/i.test(`${b.title} ${b.uid}`)).map((b) =>
      h("a", { href: `/d/${encodeURIComponent(b.uid)}?${time}&var-run=${encodeURIComponent(r.run_id)}` }, `${b.title}: the services' view`)),
  ].filter(Boolean));
}

function tiles(r) {
  const c = r.classes ?? {}, answered = r.sent - r.cancelled, bad = (c.failed ?? 0) + (c.shed ?? 0), good = c.good ?? 0;
  return h("div", { class: "tiles" },
    tile("Actual rate", withUnit(r.rate_actual, "reqps"), r.rate_target ? `of ${withUnit(r.rate_target, "reqps")} target` : plural(r.workers, "worker")),
    tile("p50", seconds(r.response_time.p50), `response time of ${r.response_time.count} served`), tile("p99", seconds(r.response_time.p99), "1% took longer"),
    tile("Longest", seconds(r.response_time.max), `p99.9 ${seconds(r.response_time.p999)}`),
    tile("Good", shares(good, answered)[0], `${good} of ${plural(answered, "request")}`, good === answered ? "good" : ""),
    tile("Failed, shed", String(bad), c.late ? `and ${c.late} late` : "", bad ? "bad" : "good"));
}

function over(r, signal) {
  const list = r.intervals ?? [];
  if (!list.length) return null;
  const xs = list.map((i) => i.at), kinds = [["good", "good", "c3"], ["late", "late", "c7"], ["shed", "shed", "c2"], ["failed", "failed", "c5"]];
  const of = (pick) => list.map((i) => (i.response_time.count ? pick(i.response_time) : null));
  return card("Over time", h("h3", { class: "note" }, "Response time"),
    curve("Response time", xs, [{ name: "p50", values: of((t) => t.p50), colour: "c1" }, { name: "p90", values: of((t) => t.p90), colour: "c4" }, { name: "p99", values: of((t) => t.p99), colour: "c2" }], { format: (v) => seconds(v, 2), signal, height: 220 }),
    h("h3", { class: "note" }, "Requests a second"),
    curve("Requests a second", xs, kinds.filter(([name]) => name === "good" || r.classes?.[name]).map(([name, key, colour]) =>
      ({ name, values: list.map((i) => (i.classes?.[key] ?? 0) / i.seconds), colour })).concat(r.rate_target ? [{ name: "target rate", values: list.map((i) => i.rate_target), colour: "c8" }] : []),
    { format: (v) => withUnit(v), signal, height: 170 }));
}

const time = (name) => ({ name, number: true });

function scenarios(r) {
  const rows = (r.scenarios ?? []).map((s) => [s.name, String(s.requests), String(s.response_time.count), ...["p50", "p90", "p99", "p999", "max"].map((p) => (s.response_time.count ? seconds(s.response_time[p]) : "–")),
    h("span", { class: "statuses" }, Object.entries(s.statuses ?? {}).map(([code, n], i) => [i > 0 && ", ", h("span", null, `${code === "0" ? "no response" : code}: ${n}`)]))]);
  // Service time and delay are of all that were sent, response times of the served.
  const line = (name, t, sent, served) => rows.push([name, String(sent), served, ...["p50", "p90", "p99", "p999", "max"].map((p) => (t.count ? seconds(t[p]) : "–")), ""]);
  line("all", r.response_time, r.sent - r.cancelled, String(r.response_time.count));
  line("service time of all sent", r.service_time, r.service_time.count, "");
  line("send delay of all sent", r.send_delay, r.send_delay.count, "");
  return card("Response time by scenario", table([{ name: "" }, time("sent"), time("served"), time("p50"), time("p90"), time("p99"), time("p99.9"), time("max"), { name: "statuses" }], rows));
}

const traceLink = (id, text) => h("a", { href: `/trace/${encodeURIComponent(id)}`, class: "mono", title: id }, text ?? `…${id.slice(-8)}`);

function slowest(r) {
  if (!r.slowest?.length) return null;
  return card("Slowest requests", table([time("took"), { name: "scenario" }, { name: "status" }, { name: "trace" }],
    r.slowest.map((s) => [seconds(s.response_time), s.scenario, s.status ? String(s.status) : "no response", s.trace_id ? traceLink(s.trace_id) : "not sampled"])),
  r.send_delay?.count > 0 && h("p", { class: "note" }, `What a request took counts from when it was due, its trace from when it was sent: in this run up to ${seconds(r.send_delay.max)} later.`));
}

function causes(r) {
  if (!r.tail_attribution?.length) return null;
  return card("Tail-latency attribution", r.tail_attribution.map((a) => h("div", { class: "why" },
    h("h3", null, a.scenario), h("p", { class: "note" }, `The slowest ${a.slow} took ${seconds(a.difference)} longer than ${a.typical} typical ones; ${a.slow_found} and ${a.typical_found} of their traces were found. ${a.missing ?? ""}`),
    causeTable(a.causes?.slice(0, shownCauses)),
    a.causes?.length > shownCauses && h("details", null, h("summary", { class: "note" }, plural(a.causes.length - shownCauses, "smaller one")), causeTable(a.causes.slice(shownCauses))))));
}

const shownCauses = 3;

function causeTable(list) {
  if (!list?.length) return null;
  return table([time("longer by"), time("share"), { name: "in" }, { name: "" }, { name: "worst trace" }],
    list.map((c) => [seconds(c.difference), withUnit(c.share, "percentunit", 0), c.service, `${c.name} (${c.kind})`, c.trace_id ? traceLink(c.trace_id) : ""]));
}

function objectives(r) {
  if (!r.slos?.length) return null;
  return card("Objectives", h("ul", { class: "plain" }, r.slos.map((v) => h("li", null, badge(v.met ? "met" : "missed", v.met ? "good" : "bad"), " ", h("code", null, v.slo), ` ${v.text}`,
    v.generator && h("p", { class: "note" }, "It would have been met if every request had been sent in time."), !v.met && v.steady && h("p", { class: "note" }, "It was met in the last third of the time.")))));
}

function facts(r, answer) {
  const list = [["Target", r.target], ["Began", dateTime(Date.parse(r.started_at))], ["Took", seconds(r.elapsed)], ["Plan", r.replay ? `replay of ${r.replay}` : r.stages || plural(r.workers, "worker")],
    ["Arrivals", r.arrivals], ["Requests", r.planned ? `${r.sent} of ${r.planned} planned` : r.sent], ["Cut off at the end", r.cancelled || null], ["Warm-up", r.warm_up_time ? `${seconds(r.warm_up_time)}, ${plural(r.warm_up ?? 0, "request")}` : null],
    ["Part", r.shard], ["In flight", `${r.in_flight_peak} at most, of ${r.max_workers}`], ["Garbage collection", `${plural(r.gc.pauses, "pause")}, ${seconds(r.gc.longest)} at most`],
    ["Retries", r.retries?.policy ? `${r.retries.policy}: ${plural(r.retries.requests, "request")} retried, ${r.retries.served} of them served` : null],
    ["Retry-After", r.retry_after.given ? `${r.retry_after.given} given, ${r.retry_after.kept} kept, ${r.retry_after.broken} broken` : null],
    ...Object.entries(r.errors ?? {}).map(([what, n]) => [`Errors: ${what}`, n]), ["First error", r.first_error], ["Seed", r.seed], ["Folder", answer.folder]];
  return card("Facts", h("dl", { class: "facts" }, list.filter(([, v]) => v !== null && v !== undefined && v !== "").map(([name, value]) => [h("dt", null, name), h("dd", null, String(value))])));
}

function files(answer) {
  return card("Files", h("ul", { class: "plain links" }, answer.files.map((name) =>
    h("li", null, h("a", { href: `/-/runs/${encodeURIComponent(answer.id)}/${name}`, target: "_blank", rel: "noopener", class: "mono" }, name)))));
}
