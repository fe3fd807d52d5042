// The content of the tip at the cross-hair.

import { h } from "./dom.js";
import { dateTime } from "./format.js";

export const key = (colour) => h("span", { class: "key", style: { "--key": colour } });

// seriesTip lists rows {name, colour, text, near}; without rows it shows "no data".
export function seriesTip(time, rows, more = 0) {
  return [
    h("p", { class: "when" }, dateTime(time * 1e3)),
    ...rows.map((r) => h("p", { class: r.near ? "row near" : "row" }, key(r.colour), h("span", { class: "name" }, r.name), h("b", null, r.text))),
    rows.length === 0 && h("p", null, "no data"),
    more > 0 && h("p", { class: "when" }, `and ${more} more`),
  ].filter(Boolean);
}
