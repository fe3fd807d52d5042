// The service map: rates of calls, and the layout.

// split adds {rate, errors, p99} to each edge {from, to, kind, calls}. A database edge has the
// numbers of its statements. A call has its part of the requests that the caller sends, in
// proportion to the calls in the sample. Its errors and p99 are known only if the caller calls
// no other service. Unknown numbers are null.
export function split(edges, sent, databases) {
  const calls = (from) => edges.filter((e) => e.kind === "call" && e.from === from);
  return edges.map((e) => {
    const known = e.kind === "db" ? databases.get(JSON.stringify([e.from, e.to])) : sent.get(e.from);
    if (!known) return { ...e, rate: null, errors: null, p99: null };
    if (e.kind === "db") return { ...e, ...known };
    const all = calls(e.from), sum = all.reduce((n, x) => n + x.calls, 0), alone = all.length === 1;
    return { ...e, rate: (known.rate * e.calls) / sum, errors: alone ? known.errors : null, p99: alone ? known.p99 : null };
  });
}

// layout places nodes in layers, callers first: {nodes: [{name, layer, x, y}], edges, width,
// height}. Sizes are those of the nodes and gaps. If vertical, layers are rows.
export function layout(names, edges, { nodeWidth, nodeHeight, gapAlong, gapAcross, vertical = false }) {
  const forward = acyclic(names, edges);
  const layer = new Map(names.map((n) => [n, 0]));
  // Longest paths: one round per node is enough without cycles.
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
  // Each layer is ordered by the position of its callers, then of its callees.
  const at = new Map();
  const place = () => layers.forEach((list) => list.forEach((n, i) => at.set(n, i - (list.length - 1) / 2)));
  place();
  for (const backwards of [false, true, false]) {
    for (const list of backwards ? [...layers].reverse() : layers) {
      const mean = new Map(list.map((n) => {
        const neighbours = forward.filter(([f, t]) => (backwards ? f : t) === n).map(([f, t]) => at.get(backwards ? t : f));
        return [n, neighbours.length ? neighbours.reduce((a, b) => a + b, 0) / neighbours.length : at.get(n)];
      }));
      list.sort((a, b) => mean.get(a) - mean.get(b) || (a < b ? -1 : 1));
      place();
    }
  }
  const widest = Math.max(1, ...layers.map((l) => l.length));
  const along = vertical ? nodeHeight : nodeWidth, across = vertical ? nodeWidth : nodeHeight;
  const breadth = widest * across + (widest - 1) * gapAcross;
  const nodes = names.map((name) => {
    const a = layer.get(name) * (along + gapAlong);
    const c = breadth / 2 + at.get(name) * (across + gapAcross) - across / 2;
    return { name, layer: layer.get(name), x: vertical ? c : a, y: vertical ? a : c };
  });
  const length = layers.length * along + Math.max(0, layers.length - 1) * gapAlong;
  return { nodes, width: vertical ? breadth : length, height: vertical ? length : breadth };
}

// acyclic returns the edges as pairs, and reverses those that would close a cycle.
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
