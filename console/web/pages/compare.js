// The comparison of two runs. The server computes significance with loadgen's code.

import { h } from "../lib/dom.js";
import { get, address } from "../lib/api.js";
import { problem, card, table, select, busy } from "../lib/ui.js";
import { plural, withUnit, seconds, dateTime } from "../lib/format.js";
import { badge, verdictBadge } from "../lib/lab.js";

const answerStates = { same: "good", better: "good", regressed: "bad", inconclusive: "warn" };
const percent = (v) => `${v > 0 ? "+" : v < 0 ? "−" : ""}${withUnit(Math.abs(v), "percentunit")}`;

export async function show(root, { query, signal, setQuery, title, go }) {
  title("Run comparison");
  const a = query.get("a"), b = query.get("b");
  root.append(h("div", { class: "head" }, h("h1", null, "Run comparison"), h("span", { class: "sub" }, "A: baseline, B: candidate")));
  if (!a || !b) {
    root.append(problem("Select two runs to compare.", h("a", { href: "/runs" }, "All runs")));
    return;
  }
  const result = h("div"), sideBySide = h("div");
  let judged;
  const judge = (tolerance) => {
    judged = get(address("/-/runs/compare", { a, b, tolerance }), signal);
    return busy(result, signal, async () => judgement(await judged));
  };
  const tolerances = ["1", "2", "5", "10", "20"], tolerance = query.get("tolerance") ?? "5";
  root.append(h("div", { class: "tools" },
    select("Tolerance", [...new Set([...tolerances, tolerance])].map((t) => [t, `${t} %`]), tolerance, (t) => {
      setQuery({ tolerance: t === "5" ? null : t });
      judge(t);
    }),
    h("button", { type: "button", onclick: () => go(address("/runs/compare", { a: b, b: a, tolerance: query.get("tolerance") })) }, "Swap A and B")), result, sideBySide);
  await Promise.all([judge(tolerance), busy(sideBySide, signal, async () => {
    const [x, y] = await Promise.all([a, b].map((id) => get(`/-/runs/${encodeURIComponent(id)}`, signal)));
    return sides(x, y, await judged.then((j) => j.result.metrics, () => []));
  })]);
}

function judgement({ result, summary }) {
  const value = (m, v) => (m.name === "goodput" ? withUnit(v, "reqps") : seconds(v));
  return card(null, h("p", { class: "summary-line" }, badge(result.verdict, answerStates[result.verdict]), " ", result.invalid?.length ? "" : `${summary}.`),
    (result.invalid ?? []).map((reason) => problem(`The numbers cannot be trusted: ${reason}`)),
    (result.warnings ?? []).map((warning) => h("p", { class: "warning" }, warning)),
    h("div", { class: "metrics" }, result.metrics.map((m) => h("section", { class: "metric" },
      h("div", { class: "head" }, h("h2", null, m.name), badge(m.verdict, answerStates[m.verdict])),
      h("p", { class: "value" }, value(m, m.a), h("span", { class: "arrow" }, " → "), value(m, m.b)),
      m.found ? [interval(m, result.tolerance), h("p", { class: "note" }, found(m.found))]
        : h("p", { class: "note" }, `No confidence interval: ${m.not_found ?? "unknown reason"}`)))),
    h("p", { class: "note" }, h("em", null, "same"), `: B is worse than A by at most ${withUnit(result.tolerance, "percentunit")}. `, result.resampled ? `Bootstrap resampling of ${result.resampled}.` : ""));
}

function found({ difference, low, high, smallest_effect: least }) {
  if (difference === 0 && low === 0 && high === 0) return "A and B are equal in every block that was compared.";
  return `${percent(difference)}; 95 % confidence interval ${percent(low)} to ${percent(high)}; smallest detectable difference ${withUnit(least, "percentunit")}`;
}

// interval draws the confidence interval on a line with 0 in the middle and the tolerance
// shaded.
function interval(m, tolerance) {
  const { difference, low, high } = m.found;
  const reach = Math.max(Math.abs(low), Math.abs(high), tolerance * 2, 0.01) * 1.1;
  const at = (v) => `${50 + (v / reach) * 50}%`, wide = (v) => `${(v / reach) * 50}%`;
  return h("div", { class: "interval", role: "img", "aria-label": `${percent(low)} to ${percent(high)}` },
    h("span", { class: "allowed", style: { left: at(-tolerance), width: wide(2 * tolerance) } }),
    h("span", { class: "zero", style: { left: "50%" } }),
    h("span", { class: `extent ${answerStates[m.verdict] ?? ""}`, style: { left: at(low), width: wide(high - low) } }),
    h("span", { class: "dot", style: { left: at(difference) } }));
}

// sides shows the same numbers as the judgement above where it has them: they are computed
// from blocks of the runs, and may differ from the report in the last digit.
function sides(x, y, metrics) {
  const judged = (name, u, v) => {
    const m = metrics.find((m) => m.name === name);
    return m ? [m.a, m.b] : [u, v];
  };
  const [p, q] = [x.report, y.report], dash = "–";
  const change = (u, v) => (u > 0 && Number.isFinite(v) ? percent((v - u) / u) : dash);
  const rows = [];
  const number = (name, u, v, write) => rows.push([name, write(u), write(v), change(u, v)]);
  const text = (name, u, v) => rows.push([name, u ?? dash, v ?? dash, ""]);
  const run = (r) => h("a", { href: `/runs/${encodeURIComponent(r.id)}`, class: "mono" }, r.id);
  text("Run", run(x), run(y));
  text("Verdict", verdictBadge(x), verdictBadge(y));
  text("Started", dateTime(Date.parse(p.started_at)), dateTime(Date.parse(q.started_at)));
  text("Target", p.target.replace("http://", ""), q.target.replace("http://", ""));
  text("Plan", plan(p), plan(q));
  number("Target rate", p.rate_target, q.rate_target, (v) => (v ? withUnit(v, "reqps") : dash));
  number("Actual rate", p.rate_actual, q.rate_actual, (v) => withUnit(v, "reqps"));
  number("Goodput", ...judged("goodput", p.goodput, q.goodput), (v) => withUnit(v, "reqps"));
  for (const [key, name] of [["p50", "p50"], ["p90", "p90"], ["p99", "p99"], ["p999", "p99.9"], ["max", "Max"]]) number(`${name} (served)`, ...judged(key, p.response_time[key], q.response_time[key]), seconds);
  number("p99 service time (all sent)", p.service_time.p99, q.service_time.p99, seconds);
  number("p99 send delay (all sent)", p.send_delay.p99, q.send_delay.p99, seconds);
  number("Requests sent", p.sent, q.sent, String);
  number("Requests served", p.response_time.count, q.response_time.count, String);
  for (const kind of ["good", "late", "shed", "failed"]) if (p.classes?.[kind] || q.classes?.[kind]) number(`Requests ${kind}`, p.classes?.[kind] ?? 0, q.classes?.[kind] ?? 0, String);
  const columns = [{ name: "" }, { name: "A", number: true, title: "baseline" }, { name: "B", number: true }, { name: "difference", number: true }];
  const names = [...new Set([...p.scenarios, ...q.scenarios].map((s) => s.name))].sort();
  const of = (r, name) => r.scenarios.find((s) => s.name === name)?.response_time;
  const scenario = names.flatMap((name) => [["count", "served", String], ["p50", "p50", seconds], ["p99", "p99", seconds]].map(([key, label, write]) => {
    const [u, v] = [of(p, name)?.[key], of(q, name)?.[key]];
    return [`${name}, ${label}`, u ? write(u) : dash, v ? write(v) : dash, change(u, v)];
  }));
  return [card("Side by side", h("div", { class: "sides" }, table(columns, rows, { caption: "Side by side" }))),
    card("Response time by scenario", h("div", { class: "sides" }, table(columns, scenario, { caption: "Scenarios" }), h("p", { class: "note" }, "Measured differences, not tested for statistical significance.")))];
}

const plan = (r) => (r.replay ? `replay of ${r.replay}` : r.stages || plural(r.workers, "worker"));
