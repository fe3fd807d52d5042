// The Prometheus queries of a panel.

import { prom } from "./api.js";
import { step as stepFor } from "./range.js";
import { fromExemplars, fromInstant, fromRange, grid, nameFrames, spread } from "./frames.js";
import { interpolate } from "./vars.js";

// queue runs at most limit tasks at once; others wait in order.
export function queue(limit) {
  const waiting = [];
  let running = 0;
  const next = () => {
    while (running < limit && waiting.length) {
      const { work, signal, resolve, reject } = waiting.shift();
      if (signal?.aborted) {
        reject(signal.reason);
        continue;
      }
      running++;
      work().then(resolve, reject).finally(() => {
        running--;
        next();
      });
    }
  };
  return (work, signal) => new Promise((resolve, reject) => {
    waiting.push({ work, signal, resolve, reject });
    next();
  });
}

// deduper returns a function that runs the work of each key only once: panels of a dashboard
// often have the same query.
export function deduper(run, signal) {
  const results = new Map();
  return (key, work) => {
    if (!results.has(key)) results.set(key, run(work, signal));
    return results.get(key);
  };
}

// seconds parses the interval of a panel, such as "10s" or "1m".
export function seconds(text) {
  const m = /^>?(\d+)(ms|s|m|h)$/.exec(text ?? "");
  return m ? m[1] * { ms: 1e-3, s: 1, m: 60, h: 3600 }[m[2]] : 0;
}

// stepOf returns the seconds between the points of a panel. Columns of a heat map are wider,
// because each has many values.
export function stepOf(panel, start, end, width) {
  const minStep = Math.max(0, seconds(panel.interval), ...(panel.targets ?? []).map((t) => seconds(t.interval)));
  const maxWidth = panel.type === "heatmap" ? width / 2 : width;
  const points = panel.maxDataPoints ? Math.min(maxWidth, panel.maxDataPoints * 2) : maxWidth;
  return Math.max(stepFor(start, end, points), minStep);
}

// targets returns the targets of a panel with their interpolated query.
export function targets(panel, values, defs, start, end, step) {
  return (panel.targets ?? []).filter((t) => !t.hide && t.expr).map((t) => ({ ...t, query: interpolate(t.expr, values, defs, end - start, step) }));
}

// history fetches the values of a number over the range: for its sparkline, and for the time
// of its last value.
async function history(panel, list, times, step, { dedupe, signal }) {
  if (!["stat", "gauge"].includes(panel.type)) return [];
  const instant = list.filter((t) => t.instant && !t.range && !t.expr.includes("__range"));
  return nameFrames((await Promise.all(instant.map(async (t) =>
    fromRange(await dedupe(`r ${times[0]} ${times.at(-1)} ${step} ${t.query}`, () => prom.range(t.query, times[0], times.at(-1), step, signal)), t, times, step)))).flat());
}

// lastTime returns the time of the last value in any frame, in seconds, or null.
export function lastTime(frames, times) {
  const last = frames.reduce((n, f) => Math.max(n, f.values.findLastIndex((v) => v !== null)), -1);
  return last < 0 ? null : times[last];
}

// panelData returns {frames, exemplars, times, step, targets} of a panel, the history of its
// numbers, and since, the time of their last value.
export async function panelData(panel, { start, end, values, defs, width, dedupe, signal }) {
  const step = stepOf(panel, start, end, width);
  const list = targets(panel, values, defs, start, end, step);
  const times = grid(start, end, step);
  const answers = await Promise.all(list.map(async (t) => {
    if (t.instant && !t.range) {
      return fromInstant(await dedupe(`i ${end} ${t.query}`, () => prom.instant(t.query, end, signal)), t);
    }
    return fromRange(await dedupe(`r ${times[0]} ${times.at(-1)} ${step} ${t.query}`, () => prom.range(t.query, times[0], times.at(-1), step, signal)), t, times, step);
  }));
  const found = await Promise.all(list.filter((t) => t.exemplar).map((t) =>
    dedupe(`e ${start} ${end} ${t.query}`, () => prom.exemplars(t.query, start, end, signal))));
  const past = await history(panel, list, times, step, { dedupe, signal });
  return { frames: nameFrames(answers.flat()), exemplars: spread(fromExemplars(found.flat()), start, end), times, step, start, end, targets: list,
    history: past, since: lastTime(past, times) };
}
