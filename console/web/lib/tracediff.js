// Compares two traces by path: the chain of services and operations above a span.

const step = (x) => JSON.stringify([x.service, x.name, x.kind]);

// tolerance is the largest relative difference that counts as equal.
const tolerance = 0.1;

// diff returns the paths of two built traces, from the top: [{depth, service, name, kind,
// a, b, difference, state}]. a and b are {count, total, errors}, with the total in
// microseconds. state is slower, faster or same (b against a), missing (not in b) or added.
export function diff(a, b) {
  const top = { children: new Map() };
  add(top, a.roots, "a");
  add(top, b.roots, "b");
  const rows = [];
  const stack = [...top.children.values()].reverse().map((n) => [n, 0]);
  while (stack.length) {
    const [node, depth] = stack.pop();
    const difference = node.b.total - node.a.total;
    rows.push({ depth, service: node.service, name: node.name, kind: node.kind, a: node.a, b: node.b, difference, state: state(node.a, node.b) });
    for (const child of [...node.children.values()].reverse()) stack.push([child, depth + 1]);
  }
  return rows;
}

function add(top, roots, side) {
  const stack = [...roots].reverse().map((x) => [top, x]);
  while (stack.length) {
    const [under, span] = stack.pop();
    const key = step(span);
    let node = under.children.get(key);
    if (!node) {
      node = { service: span.service, name: span.name, kind: span.kind, children: new Map(), a: emptySide(), b: emptySide() };
      under.children.set(key, node);
    }
    node[side].count++;
    node[side].total += span.duration;
    if (span.error) node[side].errors++;
    for (let i = span.children.length - 1; i >= 0; i--) stack.push([node, span.children[i]]);
  }
}

const emptySide = () => ({ count: 0, total: 0, errors: 0 });

function state(a, b) {
  if (!b.count) return "missing";
  if (!a.count) return "added";
  const d = b.total - a.total;
  if (Math.abs(d) <= tolerance * Math.max(a.total, b.total)) return "same";
  return d > 0 ? "slower" : "faster";
}
