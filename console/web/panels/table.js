// A table: one row per label set, one column per label and per target.

import { alpha } from "../lib/colours.js";
import { h } from "../lib/dom.js";
import { fieldConfig, show, valueColour } from "../lib/fields.js";
import { reduce } from "../lib/frames.js";
import { sortHeading } from "../lib/ui.js";
import { shareOf } from "./gauge.js";

// tableOf joins the frames of all targets by their labels: {columns: [{name, refId, number}],
// rows: [{labels, values by refId}]}.
export function tableOf(panel, frames) {
  const targets = (panel.targets ?? []).filter((t) => !t.hide);
  const rows = new Map(), labels = [];
  for (const f of frames) {
    const labelPairs = Object.entries(f.labels).filter(([n]) => n !== "__name__");
    for (const [n] of labelPairs) if (!labels.includes(n)) labels.push(n);
    const id = JSON.stringify(labelPairs.sort());
    if (!rows.has(id)) rows.set(id, { labels: Object.fromEntries(labelPairs), values: {} });
    rows.get(id).values[f.refId] = reduce(f.values);
  }
  const columns = [...labels.map((name) => ({ name, number: false })),
    ...targets.map((t) => ({ name: targets.length > 1 ? `Value #${t.refId}` : "Value", refId: t.refId, number: true }))];
  return { columns: arrange(panel, columns), rows: [...rows.values()] };
}

// arrange applies the transformation "organize" to columns.
function arrange(panel, columns) {
  let list = columns;
  for (const { id, options = {} } of panel.transformations ?? []) {
    if (id !== "organize") continue;
    const { excludeByName = {}, indexByName = {}, renameByName = {} } = options;
    list = list.filter((c) => !excludeByName[c.name]);
    list = list.map((c, i) => [indexByName[c.name] ?? 1000 + i, c]).sort((a, b) => a[0] - b[0]).map(([, c]) => c);
    list = list.map((c) => ({ ...c, shown: renameByName[c.name] || c.shown }));
  }
  return list;
}

// sorted returns rows sorted by a column.
export function sorted(rows, column, desc) {
  if (!column) return rows;
  const value = (r) => (column.number ? r.values[column.refId] ?? null : r.labels[column.name] ?? "");
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === null || y === null) return (x === null) - (y === null); // rows without a value last
    return (desc ? -1 : 1) * (column.number ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true }));
  });
}

export function create(body, env) {
  const { panel } = env;
  const box = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": env.title });
  let order = null, last = null;

  function cell(column, row, bounds) {
    const { config } = column;
    if (!column.number) {
      const label = row.labels[column.name] ?? "";
      return h("td", { class: label.length <= 40 ? "nowrap" : null }, label);
    }
    const value = row.values[column.refId] ?? null, text = show(config, value), type = config.custom.cellOptions?.type ?? "auto";
    const [min, max] = [config.min ?? 0, config.max ?? bounds[1]];
    const paint = type === "auto" || value === null ? null : valueColour(config, value, 0, "", min, max);
    if (type === "color-background" && paint) return h("td", { class: "n", style: { "background-color": alpha(paint, 0.22) } }, text);
    if (type === "color-text" && paint) return h("td", { class: "n strong", style: { color: paint } }, text);
    if (type === "gauge" && paint) {
      return h("td", { class: "n" }, h("span", { class: "in-cell", style: { "--share": shareOf(value, min, max > min ? max : min + 1), "--value": paint } }), text);
    }
    return h("td", { class: "n" }, text);
  }

  function draw(data) {
    last = data;
    const table = tableOf(panel, data.frames);
    if (table.rows.length === 0) return "empty";
    const columns = table.columns.map((c) => {
      const config = fieldConfig(panel, { name: c.name, refId: c.refId });
      const renamed = c.shown ? fieldConfig(panel, { name: c.shown, refId: c.refId }) : config;
      return { ...c, config: renamed, title: renamed.displayName || c.shown || c.name };
    }).filter((c) => !c.config.custom.hidden && c.config.custom.hideFrom?.viz !== true);
    if (!order && panel.options?.sortBy?.[0]) order = { title: panel.options.sortBy[0].displayName, desc: Boolean(panel.options.sortBy[0].desc) };
    const rows = sorted(table.rows, columns.find((c) => c.title === order?.title), order?.desc);
    const bounds = columns.map((c) => (c.number ? [0, Math.max(...rows.map((r) => r.values[c.refId] ?? 0), 0)] : null));
    const head = (c) => {
      const on = order?.title === c.title;
      return sortHeading(c.title, on ? (order.desc ? "descending" : "ascending") : null, () => {
        order = { title: c.title, desc: on ? !order.desc : c.number };
        draw(last);
        box.querySelectorAll("th button")[columns.indexOf(c)]?.focus();
      }, { class: c.number ? "n" : null, title: `Sort by ${c.title}`, style: c.config.custom.width ? { width: `${c.config.custom.width}px` } : null });
    };
    box.replaceChildren(h("table", { class: panel.options?.cellHeight === "sm" ? "tight" : null },
      panel.options?.showHeader !== false && h("thead", null, h("tr", null, columns.map(head))),
      h("tbody", null, rows.map((r) => h("tr", null, columns.map((c, i) => cell(c, r, bounds[i])))))));
    if (!box.isConnected) body.replaceChildren(box);
    return "ok";
  }
  return { draw, destroy() {} };
}
