// Ad-hoc PromQL queries: charts, heat maps and tables. The URL has the queries and everything else that is
// selected.
//
// root.dataset.loaded is "true" once the results have been drawn.

import { annotations } from "../lib/annotations.js";
import { address } from "../lib/api.js";
import { dropdown, refresher, timeRange } from "../lib/controls.js";
import { h } from "../lib/dom.js";
import * as past from "../lib/explorehistory.js";
import { letter, run as runQuery } from "../lib/explorequery.js";
import { queryRow } from "../lib/explorerow.js";
import { resultView } from "../lib/exploreview.js";
import { ago } from "../lib/format.js";
import { queue } from "../lib/panelquery.js";
import { completer } from "../lib/promcomplete.js";
import { read as readRange, step as stepFor, wider } from "../lib/range.js";
import { card, copyButton, problem } from "../lib/ui.js";

// examples are queries of the lab for a first visit.
const examples = [
  ["Requests per second by service", "sum by (service_name) (histogram_count(rate(http_server_request_duration_seconds[1m] anchored)))"],
  ["p99 latency by route", "histogram_quantile(0.99, sum by (http_route) (rate(http_server_request_duration_seconds{service_name=\"proxy-service\"}[1m] anchored)))"],
  ["Latency heat map of the proxy", "sum(rate(http_server_request_duration_seconds{service_name=\"proxy-service\"}[1m] anchored))"],
  ["Share of 5xx responses", "sum(histogram_count(rate(http_server_request_duration_seconds{service_name=\"proxy-service\", http_response_status_code=~\"5..\"}[1m] anchored))) / sum(histogram_count(rate(http_server_request_duration_seconds{service_name=\"proxy-service\"}[1m] anchored)))"],
  ["Goroutines by service", "sum by (service_name) (go_goroutine_count)"],
  ["Firing alerts", "ALERTS{alertstate=\"firing\"}"],
];

// segmented is a choice of two or three values as radio buttons.
function segmented(label, name, options, value, change) {
  return h("fieldset", { class: "segmented" }, h("legend", null, label), options.map(([v, text]) =>
    h("label", null, h("input", { type: "radio", name, value: v, checked: v === value, onchange: () => change(v) }), h("span", null, text))));
}

export async function show(root, ctx) {
  ctx.title("Explore");
  const { query, signal } = ctx;
  const hidden = new Set((query.get("hide") ?? "").split(",").filter(Boolean));
  let instant = query.get("type") === "instant", view = query.get("view") === "table" ? "table" : "chart", exemplars = query.get("exemplars") !== "off";
  let range = readRange(query), generation = new AbortController(), rows = [], request = 0;
  const limited = queue(4);
  signal.addEventListener("abort", () => generation.abort());

  const main = h("div", { class: "queries-edit" }), error = h("div"), welcome = h("div");
  const { complete, types, metrics } = completer(() => range, signal);

  const setRange = (from, to) => {
    query.set("from", from);
    query.set("to", to);
    run();
  };
  const zoomOut = () => setRange(...wider(range.start, range.end).map((t) => String(Math.round(t * 1e3))));
  const marks = annotations(query, (value) => ctx.setQuery({ annotations: value }));
  const result = resultView({ zoom: (a, b) => b - a >= 5 && setRange(String(Math.round(a * 1e3)), String(Math.round(b * 1e3))), zoomOut, sync: "explore", annotations: marks.current });

  const state = () => ({
    q: rows.map((r) => r.expr()).filter(Boolean), hide: rows.filter((r) => r.expr()).map((r, i) => (r.hidden ? letter(i) : null)).filter(Boolean).join(","),
    type: instant ? "instant" : null, view: view === "table" ? "table" : null, exemplars: exemplars ? null : "off",
  });

  // run runs all queries. A refresh changes neither the URL nor the history, the first run not the URL.
  async function run({ refresh = false, first = false } = {}) {
    const mine = ++request;
    generation.abort();
    generation = new AbortController();
    const stop = generation.signal;
    range = readRange(query);
    error.replaceChildren(...(range.error ? [problem(`${range.error}. Showing the last 30 minutes.`)] : []));
    if (!refresh && !first) ctx.setQuery({ ...state(), from: query.get("from"), to: query.get("to") }, { push: true });
    if (!refresh) past.remember(state().q);
    update();
    for (const r of rows.filter((x) => x.hidden || !x.expr())) r.idle();
    const active = rows.filter((r) => r.expr() && !r.hidden), { start, end } = range;
    const step = stepFor(start, end, Math.max(300, result.element.clientWidth - 60));
    welcome.hidden = rows.some((r) => r.expr());
    const marked = marks.load(start, end, stop);
    const results = await Promise.all(active.map(async (row) => {
      row.busy();
      try {
        const done = await limited(async () => runQuery({ refId: row.letter, expr: row.expr() }, { start, end, step, instant, exemplars, types, metrics, signal: stop }), stop);
        if (mine === request) row.done(done);
        return done;
      } catch (e) {
        if (!stop.aborted && mine === request) row.failed(e.message);
        return null;
      }
    }));
    if (mine !== request || signal.aborted) return;
    const ok = results.filter(Boolean);
    if (ok.length) result.draw(ok, { start, end, step, instant, view });
    else result.clear();
    await marked;
    if (mine === request) root.dataset.loaded = "true";
  }

  const renumber = () => rows.forEach((r, i) => {
    r.name(letter(i));
    r.element.querySelector(".remove").hidden = rows.length === 1;
  });
  const on = {
    run: () => run(),
    remove(row) {
      const i = rows.indexOf(row);
      rows = rows.filter((r) => r !== row);
      row.element.remove();
      renumber();
      rows[Math.min(i, rows.length - 1)].focus();
      run();
    },
    hide() {
      renumber();
      run();
    },
    apply(row, expr) {
      row.set(expr);
      row.focus();
      run();
    },
  };
  const add = (expr, off = false) => {
    const row = queryRow({ expr, hidden: off }, complete, signal, on);
    rows.push(row);
    main.append(row.element);
    renumber();
    return row;
  };
  const replace = (list) => {
    rows = [];
    main.replaceChildren();
    list.forEach((q) => add(q));
    run();
  };

  // Controls
  const time = timeRange(signal, () => range, setRange);
  const pace = refresher(query.get("refresh"), signal, () => run({ refresh: true }), (v) => ctx.setQuery({ refresh: v }));
  const update = () => {
    time.update();
    pace.pause(range.to !== "now");
    shape.disabled = extra.disabled = instant;
  };
  const shape = segmented("Show", "view", [["chart", "Chart"], ["table", "Table"]], view, (v) => {
    view = v;
    run();
  });
  const extra = h("input", { type: "checkbox", checked: exemplars, onchange: () => {
    exemplars = extra.checked;
    run();
  } });
  const history = dropdown("History", signal, (box) => {
    const list = past.read();
    box.replaceChildren(list.length ? h("ul", { class: "plain past" }, list.map((e) => h("li", null, h("button", { type: "button", class: "quiet", title: e.q.join("\n"), onclick: () => {
      history.details.open = false;
      replace(e.q);
    } }, e.q.map((q) => h("code", null, q)), h("span", { class: "note" }, ago(e.at)))))) : h("p", { class: "note" }, "Queries that you run appear here."),
    ...(list.length ? [h("button", { type: "button", onclick: () => {
      past.forget();
      history.details.open = false;
      history.details.querySelector("summary").focus();
    } }, "Clear history")] : []));
  });
  history.setText("Recent queries");
  const share = copyButton({ title: "Copy a link to these queries at this time" }, () => address(location.origin + "/explore", { ...state(), from: Math.round(range.start * 1e3), to: Math.round(range.end * 1e3), annotations: new URLSearchParams(location.search).get("annotations") }),
  { label: "Copy link", done: "Copied", failed: "Copy the address instead" });

  root.append(h("div", { class: "head" }, h("h1", null, "Explore"), h("span", { class: "sub" }, "PromQL queries of the lab's metrics")), error,
    h("div", { class: "tools", role: "group", "aria-label": "Time range and options" },
      segmented("Query", "type", [["range", "Range"], ["instant", "Instant"]], instant ? "instant" : "range", (v) => {
        instant = v === "instant";
        run();
      }), shape,
      h("label", { class: "check" }, extra, "Exemplars"),
      h("span", { class: "gap" }), history.element, time.element, h("button", { type: "button", onclick: zoomOut, title: "Double the time range (or double-click a chart)" }, "Zoom out"), pace.element),
    main,
    h("div", { class: "query-tools" }, h("button", { type: "button", class: "primary", onclick: () => run(), title: "Enter" }, "Run"), h("button", { type: "button", onclick: () => add("").focus() }, "Add query"), share,
      h("span", { class: "note" }, "Enter runs · Shift+Enter: new line · Ctrl+Space completes")),
    marks.element, welcome, result.element);
  const first = query.getAll("q");
  for (const [i, q] of (first.length ? first : [""]).entries()) add(q, hidden.has(letter(i)));
  welcome.append(card("Examples", h("ul", { class: "plain examples" }, examples.map(([name, q]) => h("li", null, h("button", { type: "button", onclick: () => replace([q]) }, name), h("code", null, q))))));
  metrics().then((list) => welcome.firstChild.append(h("p", { class: "note" }, `Prometheus has ${list.length} metrics in this time range. Ctrl+Space lists them.`)), () => {}); // a query shows the error
  welcome.hidden = first.length > 0;
  if (!first.length) rows[0].focus();
  await run({ first: true });
  const unwatch = new AbortController();
  document.addEventListener("theme", () => result.redraw(), { signal: unwatch.signal });
  return () => {
    unwatch.abort();
    globalThis.CSS.highlights?.delete("promql-error");
    result.destroy();
  };
}
