// Load runs and firing alerts as annotations of charts over time: bands, and links to reports and
// dashboards. All charts of a page show the same ones.

import { get, prom } from "./api.js";
import { alpha, prop } from "./colours.js";
import { h } from "./dom.js";
import { clock, dateTime, withUnit } from "./format.js";
import { badge } from "./lab.js";
import { step as stepFor } from "./range.js";
import { key } from "./tip.js";

const colours = { run: "c4", alert: "bad" };
const titles = { run: "Runs", alert: "Alerts" };

// runsIn returns the annotations of runs that overlap a range. The end of a run without a report is
// unknown: null.
export function runsIn(list, start, end) {
  return list.filter((r) => r.started_at).map((r) => {
    const from = Date.parse(r.started_at) / 1e3;
    return { kind: "run", name: r.id, start: from, end: r.finished && r.elapsed ? from + r.elapsed : null, href: r.finished ? `/runs/${encodeURIComponent(r.id)}` : "/runs",
      note: r.sent ? `${withUnit(r.rate_actual, "reqps")}${r.plan ? `, ${r.plan}` : ""}` : "no report yet" };
  }).filter((a) => a.start <= end && (a.end ?? a.start) >= start);
}

const hidden = ["__name__", "alertname", "alertstate"];

// alertsIn returns the annotations of a range query for ALERTS: each interval without a gap of more than two
// steps is one. dashboards are links by alert name.
export function alertsIn(result, step, dashboards = {}) {
  const found = [];
  for (const { metric, values } of result) {
    const name = metric.alertname, note = Object.entries(metric).filter(([n]) => !hidden.includes(n)).map(([n, v]) => `${n}=${v}`).join(", ");
    let last = null;
    for (const [time] of values) {
      if (last && time - last.end <= 2 * step) last.end = time;
      else found.push((last = { kind: "alert", name, note, start: time, end: time, dashboard: dashboards[name] ?? null }));
    }
  }
  return found.map(({ dashboard, ...a }) => {
    const from = Math.round((a.start - 300) * 1e3), to = Math.round((a.end + 300) * 1e3);
    const query = new URLSearchParams({ q: `ALERTS{alertname=${JSON.stringify(a.name)}}`, from, to });
    return { ...a, href: dashboard ? `${dashboard}${dashboard.includes("?") ? "&" : "?"}from=${from}&to=${to}` : `/explore?${query}` };
  });
}

async function alerts(start, end, signal) {
  const step = stepFor(start, end, 1600);
  const [result, rules] = await Promise.all([prom.range('ALERTS{alertstate="firing"}', Math.floor(start / step) * step, end, step, signal), prom.rules(signal).catch(() => [])]);
  const links = {};
  for (const rule of rules.flatMap((g) => g.rules)) if (/^\/d\//.test(rule.annotations?.dashboard ?? "")) links[rule.name] = rule.annotations.dashboard;
  return alertsIn(result, step, links);
}

// kindsOf reads the kinds that the parameter "annotations" of a URL shows: all unless it is there.
export const kindsOf = (query) => (query.has("annotations") ? query.get("annotations").split(",") : Object.keys(colours)).filter((k) => k in colours);

const maxListed = 6;

// annotations loads and lists them: those that a URL's query shows. on(value) receives the new parameter, null for all, when a
// kind is switched on or off. It returns {element, current, load}: element has the switches and the list; current() returns the shown ones, for charts;
// load(start, end, signal) fetches them. Charts redraw on the event "annotations" of the document.
export function annotations(query, on) {
  let kinds = kindsOf(query);
  const all = { run: [], alert: [] }, problems = {};
  const list = h("ul", { class: "plain", "aria-label": "Annotations in this range" });
  const current = () => kinds.flatMap((k) => all[k]).sort((a, b) => a.start - b.start);
  let open = false;
  const switches = Object.keys(colours).map((kind) => h("label", null, h("input", { type: "checkbox", checked: kinds.includes(kind), onchange: (e) => {
    kinds = Object.keys(colours).filter((k) => (k === kind ? e.target.checked : kinds.includes(k)));
    on(kinds.length === Object.keys(colours).length ? null : kinds.join(",") || "none");
    render();
  } }), h("span", { class: `mark ${kind}`, "aria-hidden": "true" }), titles[kind]));
  const element = h("div", { class: "annotations", role: "group", "aria-label": "Annotations" }, h("span", { class: "note" }, "Annotations"), switches, list);

  let listed = "", drawn = "";
  const render = () => {
    const shown = current().reverse(), now = JSON.stringify([shown.map((a) => [a.kind, a.name, a.start]), open, problems]);
    if (now !== listed) fill(shown); // else a refresh would move the focus
    listed = now;
    list.querySelectorAll("a").forEach((link, i) => Object.assign(link, { href: shown[i].href, title: titleOf(shown[i]) }));
    if (JSON.stringify(shown) === drawn) return;
    drawn = JSON.stringify(shown);
    document.dispatchEvent(new Event("annotations"));
  };
  const fill = (shown) => {
    const more = shown.length - maxListed;
    list.replaceChildren(...shown.slice(0, open ? shown.length : maxListed).map((a) => h("li", null, h("span", { class: `mark ${a.kind}`, "aria-hidden": "true" }),
      h("a", null, a.name), h("span", { class: "note" }, ` ${a.kind === "alert" ? "fired " : ""}${clock(a.start * 1e3)}`))),
    ...(more > 0 ? [h("li", null, h("button", { type: "button", class: "quiet", "aria-expanded": String(open), onclick: () => {
      open = !open;
      render();
      list.querySelector("button")?.focus();
    } }, open ? "fewer" : `+${more} more`))] : []),
    ...kinds.filter((k) => problems[k]).map((k) => h("li", { class: "note" }, badge(`${titles[k]} unknown`, "warn", problems[k]))));
  };

  return {
    element, current,
    async load(start, end, signal) {
      const from = { run: async () => runsIn((await get("/-/runs", signal)).runs, start, end), alert: () => alerts(start, end, signal) };
      await Promise.all(Object.keys(from).map(async (kind) => {
        try {
          all[kind] = await from[kind]();
          problems[kind] = null;
        } catch (error) {
          if (signal.aborted) return;
          all[kind] = [];
          problems[kind] = error.message;
        }
      }));
      if (!signal.aborted) render();
    },
  };
}

const during = ({ start, end }) => `${dateTime(start * 1e3)}${end === null ? "" : end > start ? ` to ${clock(end * 1e3)}` : ""}`;

const titleOf = (a) => `${a.kind} ${a.name}: ${during(a)}. ${a.note}`;

// tipRows are the lines of a chart's tip for annotations at a time; reach is in seconds.
export function tipRows(list, time, reach) {
  return list.filter((a) => time >= a.start - reach && time <= (a.end ?? a.start) + reach).slice(-3)
    .map((a) => h("p", { class: "row" }, key(prop(colours[a.kind])), h("span", { class: "name" }, `${a.kind} ${a.name}`), h("b", null, a.kind === "alert" ? "firing" : "")));
}

// layer draws annotations in a uPlot chart: behind draws the bands, place moves the links at its upper edge. The
// same links are in the list of the page, so that these are not in the tab order.
export function layer(u, current) {
  const marks = h("div", { class: "annotation-marks", "aria-hidden": "true" });
  u.over.append(marks);
  // A drag to zoom may begin and end on a link: then it does not open it.
  let pressed = 0;
  marks.addEventListener("mousedown", (e) => (pressed = e.clientX));
  marks.addEventListener("click", (e) => {
    if (e.detail && Math.abs(e.clientX - pressed) > 5) e.preventDefault();
  });
  const shown = () => current().filter((a) => a.start <= u.scales.x.max && (a.end ?? a.start) >= u.scales.x.min);
  return {
    behind() {
      const { ctx, bbox } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      for (const a of shown()) {
        const colour = prop(colours[a.kind]), left = u.valToPos(a.start, "x", true), right = u.valToPos(a.end ?? a.start, "x", true);
        ctx.fillStyle = alpha(colour, 0.09);
        ctx.fillRect(left, bbox.top, right - left, bbox.height);
        ctx.strokeStyle = alpha(colour, 0.7);
        ctx.lineWidth = devicePixelRatio;
        ctx.setLineDash(a.kind === "alert" ? [3 * devicePixelRatio, 3 * devicePixelRatio] : []);
        ctx.beginPath();
        for (const x of right > left ? [left, right] : [left]) {
          ctx.moveTo(Math.round(x) + 0.5, bbox.top);
          ctx.lineTo(Math.round(x) + 0.5, bbox.top + bbox.height);
        }
        ctx.stroke();
      }
      ctx.restore();
    },
    place() {
      const width = u.over.clientWidth;
      marks.replaceChildren(...shown().map((a) => {
        const left = Math.max(0, u.valToPos(a.start, "x")), right = Math.min(width, u.valToPos(a.end ?? a.start, "x"));
        return h("a", { href: a.href, tabindex: "-1", class: a.kind, draggable: "false", title: titleOf(a), style: { left: `${left - 3}px`, width: `${Math.max(0, right - left) + 6}px` } });
      }));
    },
  };
}
