// The service map as SVG.

import { s } from "./dom.js";
import { plural, seconds, withUnit } from "./format.js";
import { colour } from "./trace.js";
import { layout } from "./tracemap.js";

const size = { nodeWidth: 190, nodeHeight: 86 };
const margin = 12;

// draw returns the SVG. Nodes are {id, name, kind, stats, href}; edges are {from, to, kind,
// calls, errors, rate} between ids; errors is a share.
export function draw(nodes, edges, vertical) {
  const sizes = vertical ? { nodeWidth: 150, nodeHeight: 86, gapAlong: 64, gapAcross: 18, vertical } : { ...size, gapAlong: 130, gapAcross: 34 };
  const plan = layout(nodes.map((n) => n.id), edges, sizes);
  const at = new Map(plan.nodes.map((n) => [n.name, n]));
  const width = plan.width + 2 * margin, height = plan.height + 2 * margin;
  const svg = s("svg", { width, height, viewBox: `${-margin} ${-margin} ${width} ${height}`, "aria-label": `${plural(nodes.length, "service or database", "services and databases")}, ${plural(edges.length, "call")} between them` },
    s("defs", null, s("marker", { id: "map-head", viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" }, s("path", { class: "head", d: "M0 0L10 5L0 10z" }))));
  const busiest = Math.max(1e-9, ...edges.map((e) => e.rate ?? 0));
  const labels = s("g");
  for (const e of edges) {
    const line = route(at.get(e.from), at.get(e.to), sizes);
    svg.append(s("path", { class: `edge ${e.kind}${isBad(e) ? " bad" : ""}`, d: line.path, "stroke-width": e.rate === null ? 1.5 : 1.5 + 3 * Math.sqrt(e.rate / busiest), "marker-end": "url(#map-head)" },
      s("title", null, `${e.from} calls ${e.to.replace(/^db /, "")}: ${e.calls} in sample${e.errors === null ? "" : `, ${withUnit(e.errors, "percentunit")} failed`}`)));
    const text = e.rate === null ? `${e.calls} in sample` : withUnit(e.rate, "cps");
    const wide = 7 * text.length + 12;
    labels.append(s("g", { class: "label", transform: `translate(${line.x} ${line.y})` }, s("rect", { x: -wide / 2, y: -10, width: wide, height: 20, rx: 10 }), s("text", { "text-anchor": "middle", y: 4 }, text)));
  }
  svg.append(labels);
  for (const n of nodes) svg.append(node(n, at.get(n.id), sizes));
  return svg;
}

const isBad = ({ errors }) => errors >= 0.001;

// route returns the path of an edge between two nodes, and the position of its label.
function route(a, b, { nodeWidth: w, nodeHeight: hgt, vertical }) {
  if (a === b) return { path: `M${a.x + w - 30} ${a.y}c0 -30 24 -30 24 0`, x: a.x + w - 18, y: a.y - 22 };
  const back = b.layer <= a.layer;
  const [x1, y1, x2, y2] = vertical ? [a.x + w / 2, a.y + (back ? 0 : hgt), b.x + w / 2, b.y + (back ? hgt : 0)] : [a.x + (back ? 0 : w), a.y + hgt / 2, b.x + (back ? w : 0), b.y + hgt / 2];
  // A backward edge is drawn beside the forward one.
  const [dx, dy] = back ? (vertical ? [24, 0] : [0, 24]) : [0, 0];
  const bend = vertical ? [0, (y2 - y1) / 2] : [(x2 - x1) / 2, 0];
  return {
    path: `M${x1 + dx} ${y1 + dy}C${x1 + dx + bend[0]} ${y1 + dy + bend[1]} ${x2 + dx - bend[0]} ${y2 + dy - bend[1]} ${x2 + dx} ${y2 + dy}`,
    x: (x1 + x2) / 2 + dx, y: (y1 + y2) / 2 + dy,
  };
}

const fits = (text, width) => {
  const n = Math.floor((width - 24) / 8);
  return text.length > n ? `${text.slice(0, n - 1)}…` : text;
};

function node(n, { x, y }, { nodeWidth: w, nodeHeight: hgt }) {
  const f = n.stats;
  const bad = f && isBad(f);
  const rows = f ? [`${withUnit(f.rate, "cps")} ${f.counted === "spans" ? "spans" : f.counted === "requests sent" ? "sent" : ""}`.trim(), `errors ${withUnit(f.errors, "percentunit")}`, `p99 ${Number.isNaN(f.p99) ? "–" : seconds(f.p99)}`]
    : n.kind === "database" ? ["database", n.total === null ? "" : `${withUnit(n.total, "cps")} statements`] : ["no requests"];
  return s("a", { href: n.href, "aria-label": `${n.name}: ${rows.filter(Boolean).join(", ")}. Its traces` },
    s("g", { class: `node svc-${n.kind === "database" ? 8 : colour(n.name)}`, transform: `translate(${x} ${y})` },
      s("title", null, n.name),
      s("rect", { class: "box", width: w, height: hgt, rx: n.kind === "database" ? 26 : 10 }),
      n.kind !== "database" && s("rect", { class: "side", y: 10, width: 5, height: hgt - 20, rx: 2 }),
      s("text", { class: "name", x: 16, y: 24 }, fits(n.name, w)),
      rows.map((text, i) => s("text", { class: `map-stat${bad && i === 1 ? " bad" : ""}`, x: 16, y: 44 + 16 * i }, fits(text, w + 20)))));
}
