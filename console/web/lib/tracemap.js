// The map of services: who calls whom, and where each is drawn.

// calls counts in built traces which service called which: [{from, to, kind, calls, errors,
// total}] with total in microseconds. kind is call, or db: a statement, of a client span that
// names a database.
export function calls(traces) {
  const edges = new Map();
  const count = (from, to, kind, span) => {
    const key = JSON.stringify([from, to, kind]);
    const e = edges.get(key) ?? { from, to, kind, calls: 0, errors: 0, total: 0 };
    e.calls++;
    if (span.error) e.errors++;
    e.total += span.duration;
    edges.set(key, e);
  };
  for (const trace of traces) {
    for (const span of trace.spans) {
      if (span.parent && span.parent.service !== span.service) count(span.parent.service, span.service, "call", span);
      const db = span.tags.find((t) => t.key === "db.system.name" || t.key === "db.system")?.value;
      if (db !== undefined && span.kind === "client") count(span.service, String(db), "db", span);
    }
  }
  return [...edges.values()].sort((a, b) => b.calls - a.calls || (a.from + a.to < b.from + b.to ? -1 : 1));
}

// split gives each edge of a service its part of what the service sends a second, in
// proportion to the calls that were counted. Where nothing is known, rate is null.
export function split(edges, rates) {
  const sums = new Map();
  for (const e of edges) if (e.kind === "call") sums.set(e.from, (sums.get(e.from) ?? 0) + e.calls);
  return edges.map((e) => {
    const rate = e.kind === "call" ? rates.get(e.from) : undefined;
    return { ...e, rate: rate === undefined ? null : (rate * e.calls) / sums.get(e.from) };
  });
}

// layout places nodes in layers, callers first: {nodes: [{name, layer, x, y}], edges, width,
// height}. Sizes are of the nodes and of the gaps. With vertical the layers are rows.
export function layout(names, edges, { nodeWidth, nodeHeight, gapAlong, gapAcross, vertical = false }) {
  const forward = acyclic(names, edges);
  const layer = new Map(names.map((n) => [n, 0]));
  // Longest paths: as often as there are nodes is enough where there is no circle.
  for (let i = 0, changed = true; changed && i <= names.length; i++) {
    changed = false;
    for (const [from, to] of forward) {
      if (layer.get(to) < layer.get(from) + 1) {
        layer.set(to, layer.get(from) + 1);
        changed = true;
      }
    }
  }
  const layers = [];
  for (const n of names) (layers[layer.get(n)] ??= []).push(n);
  // Each layer is ordered by where its callers are, then by where what it calls is.
  const at = new Map();
  const place = () => layers.forEach((list) => list.forEach((n, i) => at.set(n, i - (list.length - 1) / 2)));
  place();
  for (const backwards of [false, true, false]) {
    for (const list of backwards ? [...layers].reverse() : layers) {
      const mean = new Map(list.map((n) => {
        const near = forward.filter(([f, t]) => (backwards ? f : t) === n).map(([f, t]) => at.get(backwards ? t : f));
        return [n, near.length ? near.reduce((a, b) => a + b, 0) / near.length : at.get(n)];
      }));
      list.sort((a, b) => mean.get(a) - mean.get(b) || (a < b ? -1 : 1));
      place();
    }
  }
  const most = Math.max(1, ...layers.map((l) => l.length));
  const along = vertical ? nodeHeight : nodeWidth, across = vertical ? nodeWidth : nodeHeight;
  const whole = most * across + (most - 1) * gapAcross;
  const nodes = names.map((name) => {
    const a = layer.get(name) * (along + gapAlong);
    const c = whole / 2 + at.get(name) * (across + gapAcross) - across / 2;
    return { name, layer: layer.get(name), x: vertical ? c : a, y: vertical ? a : c };
  });
  const length = layers.length * along + Math.max(0, layers.length - 1) * gapAlong;
  return { nodes, width: vertical ? whole : length, height: vertical ? length : whole };
}

// acyclic returns the edges as pairs, those that would close a circle the other way round.
function acyclic(names, edges) {
  const out = new Map(names.map((n) => [n, []]));
  for (const e of edges) if (e.from !== e.to && out.has(e.from) && out.has(e.to)) out.get(e.from).push(e.to);
  const state = new Map(), pairs = [];
  const visit = (n) => {
    state.set(n, "open");
    for (const m of out.get(n)) {
      if (state.get(m) === "open") {
        pairs.push([m, n]);
        continue;
      }
      pairs.push([n, m]);
      if (!state.has(m)) visit(m);
    }
    state.set(n, "done");
  };
  const called = new Set(edges.filter((e) => e.from !== e.to).map((e) => e.to));
  for (const n of [...names.filter((x) => !called.has(x)), ...names]) if (!state.has(n)) visit(n);
  return pairs;
}
