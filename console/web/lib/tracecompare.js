// The comparison of two traces: time by path in each.

import { h } from "./dom.js";
import { address } from "./api.js";
import { dateTime, plural, seconds } from "./format.js";
import { colour } from "./trace.js";
import { diff } from "./tracediff.js";

const words = { slower: "slower", faster: "faster", same: "about the same", missing: "only in A", added: "only in B" };

// compare fills root.
export function compare(root, a, b) {
  const rows = diff(a, b);
  const longest = Math.max(1, ...rows.flatMap((r) => [r.a.total, r.b.total]));
  const difference = b.duration - a.duration;
  root.append(
    h("div", { class: "head" }, h("h1", null, "Trace comparison"), h("p", { class: "sub" },
      difference === 0 ? "Equal duration." : `B took ${seconds(Math.abs(difference) / 1e6)} ${difference > 0 ? "longer" : "less"} than A.`)),
    h("div", { class: "diff-heads" }, head("A", a, ""), head("B", b, "b")),
    h("p", { class: "trace-tools" }, h("a", { class: "trace-button", href: address(`/trace/${b.id}`, { compare: a.id }) }, "Swap A and B"), h("a", { href: "/traces" }, "Search traces")),
    h("section", { class: "card" },
      h("h2", null, "By path"),
      h("p", { class: "note" }, "One row for each chain of services and operations. Times are sums over its spans, children included."),
      h("p", { class: "note diff-legend" }, h("span", null, h("span", { class: "diff-key" }), "A"), h("span", null, h("span", { class: "diff-key b" }), "B"),
        h("span", { class: "slower" }, "B slower"), h("span", { class: "faster" }, "B faster"), h("span", null, "by more than 10 %"), h("span", { class: "alone" }, "only in A or B")),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Differences by path" }, h("table", { class: "diff" },
        h("thead", null, h("tr", null, ["Service and operation", "A: spans", "B: spans", "A: time", "B: time", "", "B − A", ""].map((t, i) => h("th", { scope: "col", class: i > 0 && i !== 5 && i !== 7 ? "n" : null }, t)))),
        h("tbody", null, rows.map((r) => row(r, longest)))))));
}

function head(name, t, kind) {
  return h("section", { class: "card" },
    h("h2", null, h("span", { class: `diff-key ${kind}` }), name, ": ", h("a", { href: `/trace/${t.id}` }, `${t.root.service}: ${t.root.name}`)),
    h("p", { class: "note" }, `${dateTime(t.start / 1000, true)} · ${seconds(t.duration / 1e6)} · ${plural(t.spans.length, "span")} · ${plural(t.errors, "error")}`),
    h("code", { class: "sub" }, t.id));
}

function row(r, longest) {
  const side = (x) => (x.count ? `${x.count}${x.errors ? ` (${x.errors} failed)` : ""}` : "–");
  const time = (x) => (x.count ? seconds(x.total / 1e6) : "–");
  const bar = (x, kind) => h("i", { class: kind, style: { width: `${(100 * x.total) / longest}%` } });
  const both = r.a.count && r.b.count;
  const percent = both && r.a.total ? ` (${r.difference > 0 ? "+" : "−"}${Math.abs((100 * r.difference) / r.a.total).toFixed(0)} %)` : "";
  return h("tr", { class: r.state },
    h("td", null, h("span", { class: `what svc-${colour(r.service)}`, style: { "--depth": r.depth } }, h("i", { class: "strip" }), r.service, " ", h("span", null, `${r.name}${r.kind ? ` · ${r.kind}` : ""}`))),
    h("td", { class: "n" }, side(r.a)), h("td", { class: "n" }, side(r.b)), h("td", { class: "n" }, time(r.a)), h("td", { class: "n" }, time(r.b)),
    h("td", null, h("span", { class: "pair", "aria-hidden": "true" }, bar(r.a, "a"), bar(r.b, "b"))),
    h("td", { class: `n ${r.state}` }, `${r.difference > 0 ? "+" : r.difference < 0 ? "−" : ""}${seconds(Math.abs(r.difference) / 1e6)}${percent}`),
    h("td", { class: r.state }, words[r.state]));
}
