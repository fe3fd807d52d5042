// A dashboard panel: header, data, and messages for empty results and errors.

import { panelData, targets as targetsOf } from "./panelquery.js";
import { clear, h } from "./dom.js";
import { clock, dateTime } from "./format.js";
import { copyable, empty, problem } from "./ui.js";
import { unsupported } from "../panels/support.js";

const kinds = ["timeseries", "stat", "gauge", "bargauge", "table", "heatmap", "text"];

// create loads the module of a panel's type once.
const modules = new Map();
async function create(type, body, env) {
  if (!kinds.includes(type)) throw new Error(`The console does not support panels of type ${JSON.stringify(type)}.`);
  if (!modules.has(type)) modules.set(type, import(`../panels/${type}.js`));
  return (await modules.get(type)).create(body, env);
}

let ids = 0;

function info(panel) {
  const unsupportedOptions = unsupported(panel);
  if (!panel.description && unsupportedOptions.length === 0) return null;
  const id = `about-${++ids}`;
  const tip = h("div", { class: "description", id, role: "tooltip" }, panel.description && h("p", null, panel.description),
    unsupportedOptions.length > 0 && h("p", { class: "note" }, "Not supported by the console: ", unsupportedOptions.join("; ")));
  const button = h("button", { type: "button", class: unsupportedOptions.length ? "quiet icon warn" : "quiet icon", "aria-label": "Panel description", "aria-describedby": id }, unsupportedOptions.length ? "!" : "i");
  button.addEventListener("keydown", (e) => {
    if (e.key === "Escape") tip.dataset.closed = "true";
  });
  for (const name of ["blur", "mouseenter", "focus"]) button.addEventListener(name, () => delete tip.dataset.closed);
  return h("span", { class: "info" }, button, tip);
}

// noDataText is the message of an empty panel. It omits the date within the last 12 hours.
export const noDataText = ({ since, end }) => (since ? `No data since ${end - since > 43200 ? dateTime(since * 1e3) : clock(since * 1e3)}` : "No data in this range");

// panelView makes a panel. env: {dashboard, state() → {start, end, values, defs}, dedupe(),
// signal(), zoom, zoomOut, sync, annotations, view(panel) and explore(panel) → href or null: the panel alone, its
// queries on the Explore page}. It returns {element, load, redraw, relink, queries, destroy}.
export function panelView(panel, env) {
  const title = panel.title || (panel.type === "text" ? "" : "Panel");
  const body = h("div", { class: "body" });
  const note = h("div", { class: "panel-note", hidden: true });
  const links = {
    view: panel.type !== "text" && env.view(panel) && h("a", { class: "quiet icon", href: env.view(panel), "aria-label": `View ${title} and its queries`, title: "View panel and queries" }, "⤢"),
    explore: env.explore(panel) && h("a", { class: "quiet icon to-explore", href: env.explore(panel), "aria-label": `Explore ${title}`, title: "Explore: change its queries" }, "⌕"),
  };
  const name = h("h3", { title }, title);
  const others = (panel.links ?? []).filter((l) => l.url).map((l) => h("a", { href: l.url, class: "note" }, l.title || l.url));
  const head = title && h("header", null, name, others, info(panel), links.explore, links.view);
  const element = h("section", { class: `panel is-${panel.type}`, dataset: { panel: panel.id, state: "waiting" }, "aria-label": title || "Text" }, head || null, h("div", { class: "inner" }, body, note));
  let view = null, data = null, requests = 0;

  const setState = (state, content) => {
    element.dataset.state = state;
    note.hidden = !content;
    clear(note).append(...(content ? [content] : []));
    body.hidden = Boolean(content);
  };

  const panelEnv = { panel, title: title || "Text", zoom: env.zoom, zoomOut: env.zoomOut, sync: env.sync, chart: { annotations: env.annotations } };
  const draw = (force) => {
    body.hidden = false; // a chart measures its container
    const from = performance.now();
    const state = view.draw(data, force);
    if (state === "empty") {
      const noData = noDataText(data);
      setState("empty", empty(panel.soundcheck?.mayBeEmpty ? `${noData}: ${panel.soundcheck.mayBeEmpty}` : noData));
    } else setState("ok", null);
    // A chart paints in a microtask that was queued before this one.
    queueMicrotask(() => performance.measure(`draw panel ${panel.id}`, { start: from, end: performance.now() }));
  };

  return {
    element, panel,
    stale: true,
    // load fetches the data and draws it. The previous content stays until then.
    async load() {
      const request = ++requests, signal = env.signal();
      this.stale = false;
      element.setAttribute("aria-busy", "true");
      try {
        view ??= await create(panel.type, body, panelEnv);
        const width = Math.max(200, body.clientWidth || element.clientWidth || 600);
        const got = panel.type === "text" ? {} : await panelData(panel, { ...env.state(), width, dedupe: env.dedupe(), signal });
        if (request !== requests || signal.aborted) return;
        data = got;
        draw(false);
      } catch (error) {
        if (request !== requests || signal.aborted) return;
        setState("error", problem(error.message));
      } finally {
        if (request === requests) element.removeAttribute("aria-busy");
      }
    },
    redraw() {
      if (data && view && element.dataset.state !== "error") draw(true);
    },
    // relink follows a change of the time range or a variable.
    relink() {
      for (const name of Object.keys(links)) if (links[name]) links[name].href = env[name](panel);
    },
    queries() {
      const { start, end, values, defs } = env.state();
      const step = data?.step ?? 15;
      return targetsOf(panel, values, defs, start, end, step).map((t) => h("div", { class: "query" },
        h("p", { class: "note" }, `${t.refId}${t.legendFormat && t.legendFormat !== "__auto" ? ` · ${t.legendFormat}` : ""}${t.instant ? " · instant, at the end of the range" : ` · every ${step} s`}`), copyable(t.query)));
    },
    destroy() {
      requests++;
      view?.destroy();
    },
  };
}
