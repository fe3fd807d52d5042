// A Grafana dashboard, drawn with data of the lab's Prometheus.
//
// root.dataset.panels is "done" once every panel near the viewport has been drawn.
// Each panel has data-panel (its id) and data-state (waiting, ok, empty or error).

import { annotations } from "../lib/annotations.js";
import { address as addressOf, get, prom } from "../lib/api.js";
import { deduper, queue, stepOf, targets } from "../lib/panelquery.js";
import { refresher, timeRange, variable } from "../lib/controls.js";
import { h } from "../lib/dom.js";
import { halves, sections } from "../lib/layout.js";
import { notFound } from "../lib/notfound.js";
import { panelView } from "../lib/panel.js";
import { read as readRange, wider } from "../lib/range.js";
import { problem } from "../lib/ui.js";
import { definitions, interpolate, labelValues, read as readValues, sorted, toQuery } from "../lib/vars.js";
import { panelsOf } from "../panels/support.js";

const maxQueries = 6; // at once

export async function show(root, ctx) {
  const others = get("/-/dashboards", ctx.signal);
  const list = async () => [...(await others.catch(() => [])).map((d) => [`/d/${encodeURIComponent(d.uid)}`, d.title, d.description]), ["/", "Home"]];
  const missing = async (title, text) => {
    ctx.title("Not found");
    notFound(root, title, text, await list());
  };
  let board;
  try {
    board = await get(`/-/dashboards/${encodeURIComponent(ctx.params.uid)}`, ctx.signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    return missing("Dashboard not found", `No dashboard has the UID ${ctx.params.uid}. Available dashboards:`);
  }
  const alone = ctx.query.has("panel") ? panelsOf(board).find((p) => String(p.id) === ctx.query.get("panel")) : null;
  if (ctx.query.has("panel") && !alone) return missing("Panel not found", `The dashboard ${board.title} has no panel ${ctx.query.get("panel")}. Available dashboards:`);
  ctx.title(alone ? `${alone.title} · ${board.title}` : board.title);

  const defs = definitions(board);
  const values = readValues(defs, ctx.query);
  const query = new URLSearchParams(ctx.query);
  if (!query.has("from") && board.time?.from) query.set("from", board.time.from);
  if (!query.has("to") && board.time?.to) query.set("to", board.time.to);
  let range = readRange(query), generation = new AbortController(), dedupe = null;
  const run = queue(maxQueries);
  const views = [];
  const rangeError = h("div");

  const renew = () => {
    generation.abort();
    generation = new AbortController();
    range = readRange(query);
    rangeError.replaceChildren(...(range.error ? [problem(`${range.error}. Showing the last 30 minutes.`)] : []));
    dedupe = deduper(run, generation.signal);
  };
  ctx.signal.addEventListener("abort", () => generation.abort());
  renew();

  const address = (uid, extra = {}) => {
    const q = new URLSearchParams();
    for (const [name, value] of [...query].filter(([n]) => n !== "panel" && !n.startsWith("var-"))) q.append(name, value);
    for (const [name, list] of Object.entries(toQuery(defs, values))) for (const v of list ?? []) q.append(name, v);
    for (const [name, v] of Object.entries(extra)) q.set(name, v);
    return `/d/${encodeURIComponent(uid)}${q.size ? `?${q}` : ""}`;
  };

  const marks = annotations(query, (value) => {
    ctx.setQuery({ annotations: value });
    if (value) query.set("annotations", value);
    else query.delete("annotations");
    relink();
  });

  const setRange = (from, to) => {
    query.set("from", from);
    query.set("to", to);
    ctx.setQuery({ from, to }, { push: true });
    reload();
  };
  const env = {
    state: () => ({ start: range.start, end: range.end, values, defs }), dedupe: () => dedupe, signal: () => generation.signal, sync: `dashboard ${board.uid}`,
    zoom: (a, b) => b - a >= 5 && setRange(String(Math.round(a * 1e3)), String(Math.round(b * 1e3))),
    zoomOut: () => {
      const [start, end] = wider(range.start, range.end);
      setRange(String(Math.round(start * 1e3)), String(Math.round(end * 1e3)));
    },
    view: (panel) => (alone ? null : address(board.uid, { panel: panel.id })),
    // explore is the address of the panel's queries on the Explore page. An exemplar query or a heat map is a range.
    explore(panel) {
      const list = targets(panel, values, defs, range.start, range.end, stepOf(panel, range.start, range.end, 800));
      return list.length ? addressOf("/explore", { q: list.map((t) => t.query), from: range.from, to: range.to, type: list.every((t) => t.instant && !t.range) ? "instant" : null, annotations: query.get("annotations") }) : null;
    },
    annotations: marks.current,
  };

  // Panels load when they come near the viewport.
  const near = new Set();
  const watcher = new IntersectionObserver((entries) => {
    for (const e of entries) {
      const view = views.find((v) => v.element === e.target);
      if (e.isIntersecting) near.add(view);
      else near.delete(view);
    }
    visit();
  }, { rootMargin: "300px 0px" });
  const visit = async () => {
    const signal = generation.signal;
    await Promise.all([...near].filter((v) => v.stale).map((v) => v.load()));
    if (!signal.aborted && [...near].every((v) => v.element.dataset.state !== "waiting")) root.dataset.panels = "done";
  };
  const relink = () => {
    for (const a of root.querySelectorAll("a[data-keep]")) a.href = address(a.dataset.keep);
    for (const v of views) v.relink();
  };
  const reload = () => {
    renew();
    marks.load(range.start, range.end, generation.signal);
    for (const v of views) v.stale = true;
    time.update();
    pace.pause(range.to !== "now");
    relink();
    explain();
    return visit();
  };

  // Controls
  const options = async (def) => {
    const selector = labelValues(interpolate(def.query, values, defs, range.end - range.start, 15));
    if (!selector) throw new Error(`Unsupported variable query: ${def.query}`);
    return sorted(await prom.labelValues(selector.label, selector.match, range.start, range.end, ctx.signal), def.sort);
  };
  const tools = defs.filter((d) => !d.hide).map((def) => variable(def, ctx.signal, {
    chosen: () => values[def.name], options: () => options(def),
    changed: {
      set: (list) => (values[def.name] = list),
      apply: () => {
        ctx.setQuery(toQuery(defs, values), { push: true });
        reload();
      },
    },
  }));
  const time = timeRange(ctx.signal, () => range, setRange);
  const pace = refresher(ctx.query.get("refresh") ?? board.refresh, ctx.signal, reload, (v) => {
    if (v) query.set("refresh", v);
    else query.delete("refresh");
    ctx.setQuery({ refresh: v || (board.refresh ? "off" : null) });
  });
  pace.pause(range.to !== "now");

  const tags = (board.links ?? []).filter((l) => l.type === "dashboards").flatMap((l) => l.tags ?? []);
  const links = h("nav", { class: "dashboard-links", "aria-label": "Other dashboards" });
  others.then((list) => {
    links.append(...list.filter((d) => tags.length === 0 || d.tags.some((t) => tags.includes(t))).map((d) =>
    h("a", { href: address(d.uid), dataset: { keep: d.uid }, title: d.description, "aria-current": d.uid === board.uid ? "page" : null }, d.title)));
    const current = links.querySelector("[aria-current]");
    if (current) links.scrollLeft = current.offsetLeft - links.offsetLeft - 40; // it may be out of view
  }, () => {}); // the page works without

  root.append(
    alone ? h("p", { class: "back" }, h("a", { href: address(board.uid), dataset: { keep: board.uid } }, `← ${board.title}`)) : links,
    h("div", { class: "head" }, h("h1", null, alone ? alone.title : board.title), h("span", { class: "sub" }, (alone ?? board).description)),
    rangeError,
    h("div", { class: "tools", role: "group", "aria-label": "Filters and time range" }, tools.map((t) => t.element), h("span", { class: "gap" }), time.element,
      h("button", { type: "button", onclick: env.zoomOut, title: "Double the time range (or double-click a chart)" }, "Zoom out"),
      h("div", { class: "together" }, pace.element,
      h("button", { type: "button", "aria-label": "Refresh now", title: "Refresh now", onclick: () => reload() }, "↻"))),
    marks.element);
  marks.load(range.start, range.end, generation.signal);

  // Panels
  const queries = h("section", { class: "card queries" });
  const explain = () => alone && queries.replaceChildren(h("h2", null, "Queries"), ...views[0].queries());
  const add = (grid, placed) => {
    const half = halves(placed);
    placed.forEach(({ panel, x, y, w, h: height }, i) => {
      const view = panelView(panel, env);
      view.element.classList.toggle("half", half[i]);
      view.element.classList.toggle("first", x === 0);
      for (const [name, v] of Object.entries({ "--x": x + 1, "--y": y + 1, "--w": w, "--h": height })) view.element.style.setProperty(name, v);
      views.push(view);
      grid.append(view.element);
    });
  };
  if (alone) {
    const grid = h("div", { class: "grid alone" });
    add(grid, [{ panel: alone, x: 0, y: 0, w: 24, h: 14 }]);
    root.append(grid, queries);
  } else {
    for (const { row, panels } of sections(board)) {
      const grid = h("div", { class: "grid" });
      add(grid, panels);
      if (!row) root.append(grid);
      else root.append(h("details", { class: "row", open: !row.collapsed }, h("summary", null, h("h2", null, row.title)), grid));
    }
  }
  for (const v of views) watcher.observe(v.element);
  if (views.length === 0) root.dataset.panels = "done";
  explain();
  const unwatch = new AbortController();
  document.addEventListener("theme", () => views.forEach((v) => v.redraw()), { signal: unwatch.signal });
  return () => {
    unwatch.abort();
    watcher.disconnect();
    views.forEach((v) => v.destroy());
    delete root.dataset.panels;
  };
}
