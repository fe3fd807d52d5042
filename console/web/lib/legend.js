// The legend of a chart: series, their values, and which are visible. A click shows only one
// series, Ctrl+click hides or shows one.

import { h } from "./dom.js";
import { calcs, reduce } from "./frames.js";
import { show } from "./fields.js";
import { key } from "./tip.js";

// choose returns the hidden names after a click on a name.
export function choose(hidden, names, name, toggle) {
  const next = new Set(hidden);
  if (toggle) {
    if (!next.delete(name)) next.add(name);
    return next.size === names.length ? new Set() : next;
  }
  const alone = names.every((n) => (n === name) !== next.has(n));
  return new Set(alone ? [] : names.filter((n) => n !== name));
}

// rowHeight is in pixels, maxShare the largest part of a panel that the legend covers. The
// style sheet has the same values.
export const rowHeight = 22, maxShare = 0.42;

const alarming = /\b(5\d\d|errors?|fail\w*|refused|shed|rejected|dropped|lost|timeouts?|timed out|unavailable|violated|missed|bad|firing)\b/i;

// isAlarming reports whether a series is about errors or losses, by its name.
export const isAlarming = (name) => alarming.test(name.replaceAll("_", " "));

// fold shows the legend rows that fit, and a button for the others. If open, it shows all.
export function fold(foot, rows, open, toggle) {
  const box = foot.querySelector(".legend"), asTable = box?.classList.contains("as-table");
  if (!box) return;
  const entries = [...box.querySelectorAll(asTable ? "tbody tr" : ":scope > div")];
  const top = (e) => Math.round((e.offsetTop - box.offsetTop) / rowHeight);
  const button = h("button", { type: "button", class: "more", title: "Legend", "aria-expanded": String(open), onclick: toggle });
  const last = () => (asTable ? 1 + entries.filter((e) => !e.hidden).length : top(button)); // row of the button
  if (!asTable) box.append(button);
  else foot.append(button);
  const fits = () => entries.every((e) => e.hidden || (asTable ? true : top(e) < rows)) && last() < rows;
  button.hidden = true;
  const all = asTable ? entries.length + 1 <= rows : entries.every((e) => top(e) < rows);
  if (all) return button.remove();
  button.hidden = false;
  button.textContent = open ? "fewer" : `+${entries.length} more`;
  if (open) return;
  for (let n = entries.length - 1; n > 0 && !fits(); n--) entries[n].hidden = true;
  button.textContent = `+${entries.filter((e) => e.hidden).length} more`;
}

// legend returns the element for series [{name, colour, config, values}] with the options of
// a panel. changed(hidden) is called when the hidden series change.
export function legend(series, options, hidden, changed) {
  const { displayMode = "list", placement = "bottom", calcs: wanted = [], showLegend = true, sortBy, sortDesc } = options ?? {};
  if (!showLegend || displayMode === "hidden" || series.length === 0) return null;
  const names = series.map((s) => s.name);
  const numbers = (s) => wanted.map((c) => ({ calc: c, value: reduce(s.values, c) }));
  let rows = series.map((s) => ({ s, numbers: numbers(s) }));
  const at = wanted.findIndex((c) => calcs[c]?.[0] === sortBy || c === sortBy);
  if (at >= 0) rows.sort((a, b) => (sortDesc ? -1 : 1) * ((a.numbers[at].value ?? -Infinity) - (b.numbers[at].value ?? -Infinity)));
  else if (sortBy === "Name") rows.sort((a, b) => (sortDesc ? -1 : 1) * a.s.name.localeCompare(b.s.name));
  // Errors come first: the end of a long legend is folded.
  rows = [...rows.filter((r) => isAlarming(r.s.name)), ...rows.filter((r) => !isAlarming(r.s.name))];
  const button = (s) => h("button", {
    type: "button", class: "series", title: `${s.name} (click: show only this series, Ctrl+click: hide or show)`, "aria-pressed": hidden.has(s.name) ? "false" : "true",
    onclick: (e) => changed(choose(hidden, names, s.name, e.ctrlKey || e.metaKey)),
  }, key(s.colour), h("span", { class: "name" }, s.name));
  const off = (s) => (hidden.has(s.name) ? "off" : null);
  const where = placement === "right" ? " right" : "";
  if (displayMode === "table") {
    return h("div", { class: `legend as-table${where}` },
      h("table", null,
        h("thead", null, h("tr", null, h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, "Series")), wanted.map((c) => h("th", { scope: "col", class: "n" }, calcs[c]?.[0] ?? c)))),
        h("tbody", null, rows.map(({ s, numbers: list }) => h("tr", { class: off(s) }, h("td", null, button(s)), list.map((n) => h("td", { class: "n" }, show(s.config, n.value))))))));
  }
  return h("div", { class: `legend as-list${where}` }, rows.map(({ s, numbers: list }) => h("div", { class: off(s) }, button(s),
    list.map((n) => h("span", { class: "calc" }, `${list.length > 1 ? `${calcs[n.calc]?.[0] ?? n.calc}: ` : ""}${show(s.config, n.value)}`)))));
}
