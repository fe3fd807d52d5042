// The list of dashboards.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { empty } from "../lib/ui.js";

export async function show(root, ctx) {
  ctx.title("Dashboards");
  const list = await get("/-/dashboards", ctx.signal);
  root.append(h("div", { class: "head" }, h("h1", null, "Dashboards"), h("span", { class: "sub" }, "Grafana dashboards of the lab")));
  root.append(list.length === 0 ? empty("This build contains no dashboards.") : h("ul", { class: "boards" },
    list.map((d) => h("li", null, h("a", { class: "card", href: `/d/${encodeURIComponent(d.uid)}` }, h("h2", null, d.title), h("p", null, d.description),
      h("p", { class: "tags" }, d.tags.map((t) => h("span", { class: "badge" }, t))))))));
}
