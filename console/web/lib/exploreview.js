// Draws results of queries: a chart of all series, a heat map for each native histogram, tables.

import { h } from "./dom.js";
import { dateTime, digits, withUnit } from "./format.js";
import { calcs } from "./frames.js";
import { plural } from "./format.js";
import { empty, table } from "./ui.js";
import { maxDrawn } from "./explorequery.js";
import { create as heatmap } from "../panels/heatmap.js";
import { create as timeseries } from "../panels/timeseries.js";
import { create as tableView } from "../panels/table.js";

const overrides = (results) => results.map((r) => ({ matcher: { id: "byFrameRefID", options: r.refId }, properties: [{ id: "unit", value: r.unit }] }));

// named returns the frames of several queries with metric and query's letter in their names.
export function named(results) {
  const full = (f) => (f.name.startsWith("{") ? `${f.labels.__name__ ?? ""}${f.name}` : f.name);
  return results.flatMap((r) => r.frames.filter((f) => !f.histograms).map((f) => ({ ...f, name: results.length > 1 ? `${r.refId}: ${full(f)}` : full(f) })));
}

// chartPanel is a dashboard panel that shows the results.
const chartPanel = (results) => ({
  type: "timeseries", title: "Chart",
  fieldConfig: { defaults: { custom: { drawStyle: "line", lineWidth: 1.5, fillOpacity: results.flatMap((r) => r.frames).length === 1 ? 8 : 0, showPoints: "auto" } }, overrides: overrides(results) },
  options: { legend: { displayMode: "table", calcs: ["lastNotNull", "min", "mean", "max"] }, tooltip: { mode: "multi", sort: "desc" } },
});

const heatPanel = (r) => ({ type: "heatmap", title: `Heat map ${r.refId}`, options: { yAxis: { unit: r.unit === "short" ? unitOfName(r.expr) : r.unit }, cellValues: { unit: "short" } } });

// unitOfName is the unit of observations: a rate of a histogram is per second, its buckets are not.
const unitOfName = (expr) => ({ seconds: "s", bytes: "bytes" }[/_(seconds|bytes)\b/.exec(expr)?.[1]] ?? "short");

// tablePanel has a column for each label and number of a query.
export function tablePanel(results, instant) {
  const targets = [], frames = [], rename = {}, order = {};
  const several = results.length > 1;
  for (const r of results) {
    const column = (name, of, unit) => {
      const refId = `${r.refId} ${name}`;
      order[`Value #${refId}`] = targets.length; // before the labels, of which there can be many
      targets.push({ refId, unit });
      rename[`Value #${refId}`] = several ? `${r.refId} ${name}` : name;
      for (const f of r.frames) frames.push({ ...f, refId, labels: { ...(f.labels.__name__ ? { metric: f.labels.__name__ } : {}), ...f.labels }, values: [of(f)] });
    };
    if (r.frames.some((f) => f.histograms)) {
      const last = (f) => f.histograms?.at(-1)?.[1];
      column("count", (f) => (last(f) ? Number(last(f).count) : null), "short");
      column("mean", (f) => (Number(last(f)?.count) > 0 ? Number(last(f).sum) / Number(last(f).count) : null), unitOfName(r.expr));
    } else if (instant) column("value", (f) => f.values[0], r.unit);
    else for (const c of ["lastNotNull", "min", "mean", "max"]) column(calcs[c][0].toLowerCase(), (f) => calcs[c][1](f.values), r.unit);
  }
  if (targets.length === 1) rename.Value = rename[`Value #${targets[0].refId}`], order.Value = 0;
  order.metric = targets.length;
  return {
    frames,
    panel: { type: "table", targets, fieldConfig: { overrides: targets.map((t) => ({ matcher: { id: "byFrameRefID", options: t.refId }, properties: [{ id: "unit", value: t.unit }] })) },
      transformations: [{ id: "organize", options: { renameByName: rename, indexByName: order } }], options: { cellHeight: "sm" } },
  };
}

// buckets lists the buckets of native histograms at one time.
function buckets(r) {
  const unit = unitOfName(r.expr);
  return r.frames.filter((f) => f.histograms).slice(0, 10).map((f) => {
    const list = f.histograms.at(-1)[1].buckets ?? [], most = Math.max(...list.map((b) => Number(b[3])));
    const bound = (v) => withUnit(Number(v), unit);
    return h("details", { class: "buckets" }, h("summary", null, f.name),
      list.length === 0 ? h("p", { class: "note" }, "no observations") : table([{ name: "above", number: true }, { name: "up to", number: true }, { name: "observations", number: true }, { name: "" }], list.map(([, from, to, n]) => [bound(from), bound(to), digits(Number(n)),
        h("span", { class: "bucket", style: { "--share": Number(n) / most } })]), { caption: `Buckets of ${f.name}` }));
  });
}

const maxSamples = 500;

// samplesTable lists the samples of a range vector.
function samplesTable(r) {
  const rows = r.samples.flatMap((s) => [...(s.values ?? []).map(([t, v]) => [s, t, v]), ...(s.histograms ?? []).map(([t, v]) => [s, t, `count ${v.count}, sum ${digits(Number(v.sum))}`])]);
  return [table([{ name: "series" }, { name: "time" }, { name: "value", number: true }],
    rows.slice(0, maxSamples).map(([s, t, v]) => [h("code", null, seriesText(s.metric)), h("span", { class: "nowrap" }, dateTime(t * 1e3, true)), v]), { caption: `Samples of ${r.expr}` }),
  rows.length > maxSamples && h("p", { class: "note" }, `The first ${maxSamples} of ${rows.length} samples.`)];
}

export const seriesText = ({ __name__: name = "", ...labels }) => `${name}{${Object.entries(labels).map(([n, v]) => `${n}=${JSON.stringify(v)}`).join(", ")}}`;

// resultView draws results into an element. env is that of a chart: {zoom, zoomOut, sync, annotations}. It returns
// {element, draw(results, {start, end, step, instant, view}), redraw, destroy}.
export function resultView(env) {
  const element = h("div", { class: "results" });
  let views = [], shown = "", last = null;

  const drop = () => {
    views.forEach((v) => v.view.destroy());
    views = [];
    shown = "";
    element.replaceChildren();
  };

  const frame = (panel, title, create, note) => {
    const body = h("div", { class: "body" });
    const part = h("section", { class: `panel explored is-${panel.type}`, "aria-label": title }, h("header", null, h("h2", null, title), note && h("span", { class: "note" }, note)), h("div", { class: "inner" }, body));
    element.append(part);
    const view = create(body, { panel, title, zoom: env.zoom, zoomOut: env.zoomOut, sync: env.sync, chart: { annotations: env.annotations } });
    views.push({ view, panel });
    return view;
  };

  function draw(results, how, force = false) {
    last = [results, how];
    const { start, end, step, instant } = how, view = instant ? "table" : how.view;
    const lines = results.filter((r) => r.frames.some((f) => !f.histograms && f.values.some((v) => v !== null))), heat = results.filter((r) => r.frames.some((f) => f.histograms));
    // A refresh of the same queries changes only data: legend and focus stay.
    const now = JSON.stringify([view, instant, lines.map((r) => [r.refId, r.unit, r.frames.length === 1]), heat.map((r) => [r.refId, r.expr])]);
    if (view !== "chart" || now !== shown || force) drop();
    const every = `step ${step} s`;
    if (view === "chart") {
      let i = 0;
      const data = (list) => ({ start, end, step, times: results[0].times, frames: [], exemplars: [], ...list });
      const next = (make) => (shown ? views[i++].view : make());
      if (lines.length) {
        // All exemplars have the same axis.
        const observed = lines.find((r) => r.exemplars.length), exemplars = lines.filter((r) => r.unit === observed?.unit).flatMap((r) => r.exemplars);
        next(() => frame(chartPanel(lines), lines.length > 1 ? "Chart" : `Chart ${lines[0].refId}`, timeseries, every)).draw(data({ frames: named(lines), exemplars, exemplarsOf: observed?.refId }));
      }
      for (const r of heat) next(() => frame(heatPanel(r), `Heat map ${r.refId}`, heatmap, `${plural(r.frames.length, "native histogram")}, summed · step ${step} s`)).draw(data({ frames: r.frames, exemplars: r.exemplars }));
      shown = now;
      if (!lines.length && !heat.length) nothing(results);
      return;
    }
    const rows = results.filter((r) => r.frames.length);
    if (rows.length) {
      const { panel, frames } = tablePanel(rows, instant);
      frame(panel, instant ? `Values at ${dateTime(end * 1e3)}` : "Values in the range", tableView, instant ? "" : every).draw({ frames });
      const lists = instant ? rows.flatMap(buckets) : [];
      if (lists.length) element.append(h("section", { class: "card" }, h("h2", null, "Buckets"), lists));
    }
    for (const r of results.filter((x) => x.samples?.length)) element.append(h("section", { class: "card" }, h("h2", null, `Samples ${r.refId}`), samplesTable(r)));
    for (const r of results.filter((x) => x.text !== null)) element.append(h("section", { class: "card" }, h("h2", null, `String ${r.refId}`), h("p", null, r.text)));
    if (!element.childElementCount) nothing(results);
  }

  const nothing = (results) => results.length && element.append(empty("No data in this range."));

  return { element, draw, redraw: () => last && draw(...last, true), clear: drop, destroy: drop };
}

// moreText says that not all series are shown.
export const moreText = (r) => (r.series > maxDrawn ? `${r.series} series, the first ${maxDrawn} are shown. Aggregate them, as in sum by (service_name) (…)` : plural(r.series, "series", "series"));
