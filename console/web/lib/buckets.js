// Prometheus native histograms as columns of a heat map.

// columns returns {time, cells: [[lower, upper, count]]} for each time, and the bounds of all.
// Buckets are [rule, lower, upper, count] as texts. Buckets at or below zero cannot be drawn
// on a logarithmic axis and are counted as beneath.
export function columns(frames) {
  const byTime = new Map();
  let low = Infinity, high = 0, max = 0, beneath = 0;
  for (const frame of frames) {
    for (const [time, { buckets = [] }] of frame.histograms ?? []) {
      if (!byTime.has(time)) byTime.set(time, new Map());
      const cells = byTime.get(time);
      for (const [, from, to, n] of buckets) {
        const count = Number(n);
        if (!(count > 0)) continue;
        // Explicit buckets are open at both ends: an octave of each is drawn.
        const lower = from === "-Inf" ? Number(to) / 2 : Number(from);
        const upper = to === "+Inf" ? 2 * lower : Number(to);
        if (!(lower > 0)) {
          beneath += count;
          continue;
        }
        const cell = cells.get(from) ?? [lower, upper, 0];
        cell[2] += count;
        cells.set(from, cell);
        low = Math.min(low, lower);
        high = Math.max(high, upper);
        max = Math.max(max, cell[2]);
      }
    }
  }
  const list = [...byTime].sort((a, b) => a[0] - b[0]).map(([time, cells]) => ({ time, cells: [...cells.values()].sort((a, b) => a[0] - b[0]) }));
  return { list, low, high, max, beneath };
}

// at returns the column at a time and its cell that contains a value, or null.
export function at({ list }, time, value, step) {
  const column = list.find((c) => time > c.time - step / 2 && time <= c.time + step / 2);
  const cell = column?.cells.find(([lower, upper]) => value > lower && value <= upper);
  return column ? { column, cell: cell ?? null } : null;
}

// total returns the count of a column.
export const total = (column) => column.cells.reduce((n, c) => n + c[2], 0);

// powerTicks returns powers of two from low to high, for sizes.
export function powerTicks(low, high, max = 8) {
  const from = Math.ceil(Math.log2(low) - 1e-6), to = Math.floor(Math.log2(high) + 1e-6);
  const stride = [1, 2, 5, 10, 20].find((n) => (to - from) / n < max) ?? 40;
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => 2 ** (from + i)).filter((v) => Math.round(Math.log2(v)) % stride === 0);
}

// logTicks returns round numbers from low to high for a logarithmic axis: 1, 2 and 5, or
// powers of ten if there would be too many.
export function logTicks(low, high, max = 8) {
  for (const digits of [[1, 2, 5], [1, 3], [1]]) {
    const values = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const d of digits) values.push(Number(`${d}e${e}`));
    }
    const within = values.filter((v) => v >= low * 0.999 && v <= high * 1.001);
    if (within.length <= max || digits.length === 1) return within.filter((_, i) => i % Math.ceil(within.length / max) === 0);
  }
  return [];
}
