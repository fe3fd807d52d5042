// Prometheus results as frames. A frame is one series on the grid of a time range:
// {refId, labels, name, values} with values[i] at start + i·step, null without a sample.

// number parses a sample's value. NaN and infinity become null: they cannot be drawn.
export function number(text) {
  const v = Number(text);
  return Number.isFinite(v) ? v : null;
}

// grid returns the times from start to end, both whole multiples of step.
export function grid(start, end, step) {
  const first = Math.ceil(start / step - 1e-9) * step, times = [];
  for (let i = 0; first + i * step <= end + 1e-9; i++) times.push(first + i * step);
  return times;
}

// onGrid puts samples [time, text] on a grid.
export function onGrid(samples, times, step) {
  const values = new Array(times.length).fill(null);
  for (const [t, v] of samples) {
    const i = Math.round((t - times[0]) / step);
    if (i >= 0 && i < values.length) values[i] = number(v);
  }
  return values;
}

// fromRange returns a frame for each series of a range query result.
export function fromRange(result, target, times, step) {
  return result.map((r) => ({ refId: target.refId, target, labels: r.metric, values: onGrid(r.values ?? [], times, step), histograms: r.histograms ?? null }));
}

// fromInstant returns a frame of one value for each series of an instant query result, with its text.
export function fromInstant(result, target) {
  return result.map((r) => ({ refId: target.refId, target, labels: r.metric, values: r.value ? [number(r.value[1])] : [null], text: r.value?.[1], histograms: r.histogram ? [r.histogram] : null }));
}

// legend replaces {{label}} in a legend format with the label's value.
export function legend(format, labels) {
  return format.replace(/\{\{\s*([\w.]+)\s*\}\}/g, (_, name) => (Object.hasOwn(labels, name) ? labels[name] : ""));
}

const written = (labels, names) => names.map((n) => `${n}="${labels[n]}"`).join(", ");

// nameFrames names each frame by its legend format, or by the labels that differ among the
// frames of a target.
export function nameFrames(frames) {
  const groups = new Map();
  for (const f of frames) groups.set(f.refId, [...(groups.get(f.refId) ?? []), f]);
  for (const group of groups.values()) {
    const names = [...new Set(group.flatMap((f) => Object.keys(f.labels)))].filter((n) => n !== "__name__");
    const differ = names.filter((n) => new Set(group.map((f) => f.labels[n])).size > 1);
    for (const f of group) {
      const format = f.target.legendFormat;
      const present = names.filter((n) => n in f.labels);
      if (format && format !== "__auto") f.name = legend(format, f.labels);
      else if (present.length === 0) f.name = f.labels.__name__ ?? f.target.expr;
      else if (present.length === 1) f.name = f.labels[present[0]];
      else if (differ.length === 1) f.name = f.labels[differ[0]] ?? "none";
      else f.name = `{${written(f.labels, (differ.length ? differ : present).filter((n) => n in f.labels))}}`;
      f.name = f.name.trim() || "–";
    }
  }
  return frames;
}

const known = (values) => values.filter((v) => v !== null);
const sum = (values) => values.reduce((a, b) => a + b, 0);

// calcs are the reductions of a series, with their titles.
export const calcs = {
  lastNotNull: ["Last", (v) => known(v).at(-1) ?? null],
  last: ["Last (or none)", (v) => v.at(-1) ?? null],
  firstNotNull: ["First", (v) => known(v)[0] ?? null],
  min: ["Min", (v) => (known(v).length ? known(v).reduce((a, b) => Math.min(a, b)) : null)],
  max: ["Max", (v) => (known(v).length ? known(v).reduce((a, b) => Math.max(a, b)) : null)],
  mean: ["Mean", (v) => (known(v).length ? sum(known(v)) / known(v).length : null)],
  sum: ["Total", (v) => (known(v).length ? sum(known(v)) : null)],
  range: ["Range", (v) => (known(v).length ? calcs.max[1](v) - calcs.min[1](v) : null)],
  count: ["Count", (v) => v.length],
};

// reduce returns one number for the values, or null.
export const reduce = (values, calc = "lastNotNull") => (calcs[calc] ?? calcs.lastNotNull)[1](values);

// stack returns cumulative values, in the order given. A missing value counts as 0 if another
// series has one at that time. If none has, there is a gap.
export function stack(list) {
  const below = [];
  const some = (i) => list.some((values) => values[i] !== null && values[i] !== undefined);
  return list.map((values) => values.map((v, i) => {
    if (v === null && !some(i)) return null;
    return (below[i] = (below[i] ?? 0) + (v ?? 0));
  }));
}

// isEmpty reports whether no frame has a value.
export const isEmpty = (frames) => frames.every((f) => f.values.every((v) => v === null));

// spread picks at most limit exemplars: one for each time slot and value band. Bands are
// logarithmic, so that the few slow requests are never left out.
export function spread(exemplars, start, end, limit = 160) {
  const slots = 32, bands = Math.floor(limit / slots);
  const [low, high] = [Math.log(Math.max(1e-9, calcs.min[1](exemplars.map((e) => e.value)))), Math.log(Math.max(1e-9, calcs.max[1](exemplars.map((e) => e.value))))];
  const part = (at, from, to, n) => (to > from ? Math.min(n - 1, Math.max(0, Math.floor(((at - from) / (to - from)) * n))) : 0);
  const picked = new Map();
  for (const e of exemplars) {
    const place = part(e.time, start, end, slots) * bands + part(Math.log(Math.max(1e-9, e.value)), low, high, bands);
    if (!(picked.get(place)?.value >= e.value)) picked.set(place, e);
  }
  return [...picked.values()].sort((a, b) => a.time - b.time);
}

// fromExemplars returns the exemplars of a result as {time, value, trace, labels}, each trace
// once, in order of time.
export function fromExemplars(data) {
  const seen = new Map();
  for (const series of data ?? []) {
    for (const e of series.exemplars) {
      const trace = e.labels.trace_id, value = number(e.value);
      if (!trace || value === null || seen.has(trace + e.timestamp)) continue;
      seen.set(trace + e.timestamp, { time: e.timestamp, value, trace, labels: series.seriesLabels });
    }
  }
  return [...seen.values()].sort((a, b) => a.time - b.time);
}
