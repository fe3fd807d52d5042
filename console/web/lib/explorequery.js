// Runs the queries of the Explore page.

import { prom } from "./api.js";
import { fromExemplars, fromInstant, fromRange, grid, nameFrames, spread } from "./frames.js";
import { exemplarsFit, hints, isSelector, unitOf, unknown } from "./promql.js";

// letter is the name of the i-th query.
export const letter = (i) => String.fromCharCode(65 + (i % 26)) + (i < 26 ? "" : Math.floor(i / 26));

// maxDrawn series of a query are drawn and listed. More are counted only.
export const maxDrawn = 100;

const least = (list) => list.slice(0, maxDrawn);

// series returns the result of a response as series {metric, value | values | histogram | histograms}.
function series(data) {
  switch (data?.resultType) {
    case "scalar": return [{ metric: {}, value: data.result }];
    case "string": return [];
    default: return data?.result ?? [];
  }
}

// run runs a query {refId, expr} and returns {refId, expr, type, frames, series, samples, text, exemplars, histograms, unit, warnings,
// infos, hints}. metrics() resolves to the names of all metrics, and
// types(expr) to the types of a query's metrics. type is the result type of Prometheus. samples are those of a range vector, of which
// an instant query returns several per series.
export async function run({ refId, expr }, { start, end, step, instant, exemplars, types, metrics, signal }) {
  const times = grid(start, end, step);
  const response = instant ? await prom.response("query", { query: expr, time: end }, signal)
    : await prom.response("query_range", { query: expr, start: times[0], end: times.at(-1), step }, signal);
  const type = response.data?.resultType, all = series(response.data);
  const target = { refId, expr };
  const samples = instant && type === "matrix" ? least(all) : null;
  const frames = samples ? [] : nameFrames(instant ? fromInstant(least(all), target) : fromRange(least(all), target, times, step));
  const histograms = all.some((s) => s.histogram || s.histograms);
  const found = exemplars && !instant && (histograms || exemplarsFit(expr)) ? await prom.exemplars(expr, start, end, signal).catch(() => []) : []; // the chart is complete without
  // A selector by labels alone has no name, and absent() none that must exist.
  const missing = all.length || /\babsent/.test(expr) ? [] : unknown(expr, await metrics().catch(() => []));
  return {
    refId, expr, type, series: all.length, frames, samples, text: type === "string" ? response.data.result[1] : null, histograms, unit: unitOf(expr), times,
    exemplars: spread(fromExemplars(found), start, end), warnings: response.warnings ?? [], infos: response.infos ?? [], hints: missing.length ? missing : hints(expr, { histograms, types: isSelector(expr) ? await types(expr) : {} }),
  };
}
