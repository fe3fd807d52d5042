// The legend of a chart: what each series is, its numbers, and which are shown. A click
// shows one alone, with Ctrl it hides or shows one.

import { h } from "./dom.js";
import { calcs, reduce } from "./frames.js";
import { show } from "./fields.js";
import { key } from "./tip.js";

// choose returns the names that are hidden after a click on one of names.
export function choose(hidden, names, name, toggle) {
  const next = new Set(hidden);
  if (toggle) {
    if (!next.delete(name)) next.add(name);
    return next.size === names.length ? new Set() : next;
  }
  const alone = names.every((n) => (n === name) !== next.has(n));
  return new Set(alone ? [] : names.filter((n) => n !== name));
}

// legend returns the element for series [{name, colour, config, values}] with the options of
// a panel. changed(hidden) is called when another choice is made.
export function legend(series, options, hidden, changed) {
  const { displayMode = "list", placement = "bottom", calcs: wanted = [], showLegend = true, sortBy, sortDesc } = options ?? {};
  if (!showLegend || displayMode === "hidden" || series.length === 0) return null;
  const names = series.map((s) => s.name);
  const numbers = (s) => wanted.map((c) => ({ calc: c, value: reduce(s.values, c) }));
  let rows = series.map((s) => ({ s, numbers: numbers(s) }));
  const at = wanted.findIndex((c) => calcs[c]?.[0] === sortBy || c === sortBy);
  if (at >= 0) rows.sort((a, b) => (sortDesc ? -1 : 1) * ((a.numbers[at].value ?? -Infinity) - (b.numbers[at].value ?? -Infinity)));
  else if (sortBy === "Name") rows.sort((a, b) => (sortDesc ? -1 : 1) * a.s.name.localeCompare(b.s.name));
  const button = (s) => h("button", {
    type: "button", class: "series", title: `${s.name} (click: alone, Ctrl+click: hide or show)`, "aria-pressed": hidden.has(s.name) ? "false" : "true",
    onclick: (e) => changed(choose(hidden, names, s.name, e.ctrlKey || e.metaKey)),
  }, key(s.colour), h("span", { class: "name" }, s.name));
  const off = (s) => (hidden.has(s.name) ? "off" : null);
  const where = placement === "right" ? " right" : "";
  if (displayMode === "table") {
    return h("div", { class: `legend as-table${where}` },
      h("table", null,
        h("thead", null, h("tr", null, h("th", { scope: "col" }, h("span", { class: "hush" }, "Series")), wanted.map((c) => h("th", { scope: "col", class: "n" }, calcs[c]?.[0] ?? c)))),
        h("tbody", null, rows.map(({ s, numbers: list }) => h("tr", { class: off(s) }, h("td", null, button(s)), list.map((n) => h("td", { class: "n" }, show(s.config, n.value))))))));
  }
  return h("div", { class: `legend as-list${where}` }, rows.map(({ s, numbers: list }) => h("div", { class: off(s) }, button(s),
    list.map((n) => h("span", { class: "calc" }, `${list.length > 1 ? `${calcs[n.calc]?.[0] ?? n.calc}: ` : ""}${show(s.config, n.value)}`)))));
}
