// /traces: the search for traces.

import { h, clear } from "../lib/dom.js";
import { address, jaeger, summaries } from "../lib/api.js";
import { ago, dateTime, plural, seconds } from "../lib/format.js";
import { startHint } from "../lib/lab.js";
import { empty, field, problem, select } from "../lib/ui.js";
import { colour } from "../lib/trace.js";
import { limits, lookbacks, order, orders, read, request, traceID } from "../lib/tracequery.js";
import { scatter } from "../lib/tracescatter.js";

export async function show(root, ctx) {
  delete root.dataset.loaded; // of the previous page
  ctx.title("Traces");
  const search = read(ctx.query);
  let services;
  try {
    services = (await jaeger.services(ctx.signal)).sort();
  } catch (error) {
    if (ctx.signal.aborted) return;
    root.append(h("h1", null, "Traces"), problem(error.message));
    root.dataset.loaded = "true";
    return;
  }
  if (!search.service) search.service = services.includes("proxy-service") ? "proxy-service" : services[0] ?? "";
  const results = h("section", { "aria-label": "Results", class: "trace-results" });
  const page = { ctx, search, results, traces: [], ticked: [], root };
  root.append(h("div", { class: "head" }, h("h1", null, "Traces"), byID(ctx)), form(page, services), results);
  await run(page);
}

// byID is the form that opens a trace by its id.
function byID(ctx) {
  const input = h("input", { class: "mono", "aria-label": "Trace id", placeholder: "Open trace by id", spellcheck: "false", autocomplete: "off", maxlength: "64" });
  const submit = (e) => {
    e.preventDefault();
    const id = traceID(input.value);
    input.setCustomValidity(id ? "" : "A trace id is up to 32 hexadecimal digits.");
    if (id) ctx.go(`/trace/${id}`);
    else input.reportValidity();
  };
  input.addEventListener("input", () => input.setCustomValidity(""));
  return h("form", { class: "trace-byid", onsubmit: submit, novalidate: true }, input, h("button", { type: "submit" }, "Open"));
}

function form(page, services) {
  const { search, ctx } = page;
  if (search.service && !services.includes(search.service)) services = [...services, search.service];
  const operations = h("select", { "aria-label": "Operation" });
  const fillOperations = async () => {
    const options = (names) => clear(operations).append(h("option", { value: "" }, "all"), ...names.map((n) => h("option", { value: n, selected: n === search.operation }, n)));
    options(search.operation ? [search.operation] : []);
    try {
      const service = search.service;
      const list = service ? await jaeger.operations(service, ctx.signal) : [];
      const names = [...new Set(list.map((o) => o.name ?? o))].sort();
      if (service !== search.service) return;
      if (search.operation && !names.includes(search.operation)) names.push(search.operation);
      options(names);
    } catch {
      // the list is optional: the search reports errors
    }
  };
  operations.addEventListener("change", () => (search.operation = operations.value));
  const text = (name, label, attributes) => field(label, { value: search[name], oninput: (e) => (search[name] = e.target.value), spellcheck: "false", autocomplete: "off", ...attributes });
  const time = (name, label) => field(label, { type: "datetime-local", step: "1", value: toLocal(search[name]), oninput: (e) => (search[name] = fromLocal(e.target.value)) });
  const absolute = h("div", { class: "trace-absolute", hidden: search.lookback !== "custom" });
  const drawAbsolute = () => {
    if (search.lookback === "custom" && !search.end) {
      search.end = String(Date.now() * 1000);
      search.start = String((Date.now() - 3600e3) * 1000);
    }
    absolute.hidden = search.lookback !== "custom";
    clear(absolute).append(time("start", "From"), time("end", "To"));
  };
  drawAbsolute();
  fillOperations();
  const lookback = lookbacks.some(([v]) => v === search.lookback) ? lookbacks : [[search.lookback, `last ${search.lookback}`], ...lookbacks];
  const limit = limits.includes(search.limit) ? limits : [search.limit, ...limits];
  return h("form", { class: "card trace-form", "aria-label": "Search", novalidate: true, onsubmit: (e) => {
    e.preventDefault();
    run(page, true);
  } },
    select("Service", services, search.service, (v) => {
      search.service = v;
      search.operation = "";
      fillOperations();
    }),
    h("label", { class: "field trace-operation" }, h("span", null, "Operation"), operations),
    h("div", { class: "trace-tags" }, text("tags", "Tags", { placeholder: "http.response.status_code=500 error=true", class: "mono" })),
    text("minDuration", "Min duration", { placeholder: "e.g. 5ms", class: "trace-short" }),
    text("maxDuration", "Max duration", { placeholder: "e.g. 1.2s", class: "trace-short" }),
    select("Time", lookback, search.lookback, (v) => {
      search.lookback = v;
      drawAbsolute();
    }),
    absolute,
    select("Limit", limit, search.limit, (v) => (search.limit = v)),
    h("button", { type: "submit", class: "primary" }, "Find traces"));
}

const two = (n) => String(n).padStart(2, "0");

function toLocal(micros) {
  const d = new Date(micros / 1000);
  if (!micros || Number.isNaN(d.getTime())) return "";
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}T${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

function fromLocal(text) {
  const ms = new Date(text).getTime();
  return Number.isNaN(ms) ? "" : String(ms * 1000);
}

// inAddress returns the parameters of a search in the URL.
function inAddress(search) {
  const custom = search.lookback === "custom";
  return { ...search, start: custom ? search.start : null, end: custom ? search.end : null, sort: search.sort === "newest" ? null : search.sort };
}

async function run(page, push = false) {
  const { ctx, search, results, root } = page;
  const current = (page.run = {});
  if (!search.service) {
    results.append(empty("No services in Jaeger yet.", h("p", null, `${startHint()}, then send load: go run ./loadgen -rate 30`)));
    root.dataset.loaded = "true";
    return;
  }
  if (push || [...ctx.query].length) ctx.setQuery(inAddress(search), { push });
  results.setAttribute("aria-busy", "true");
  try {
    const values = request(search);
    const found = await summaries(values, ctx.signal);
    if (page.run !== current) return;
    page.traces = found;
    page.ticked = page.ticked.filter((id) => page.traces.some((t) => t.id === id));
    draw(page, values);
  } catch (error) {
    if (ctx.signal.aborted || page.run !== current) return;
    clear(results).append(problem(error.message));
  }
  results.removeAttribute("aria-busy");
  root.dataset.loaded = "true";
}

// arrivalTime is how long the spans of a trace take to arrive, in milliseconds.
const arrivalTime = 15e3;

function draw(page, values) {
  const now = Date.now();
  const { ctx, search, results, traces } = page;
  clear(results);
  if (!traces.length) {
    results.append(empty("No matching traces.", h("p", null, `Extend the time range or remove filters. Searched: ${dateTime(values.start / 1000)} to ${dateTime(values.end / 1000)}.`)));
    return;
  }
  const limitNote = traces.length >= Number(search.limit) ? `the newest ${traces.length}, within ${seconds((Math.max(...traces.map((t) => t.start)) - Math.min(...traces.map((t) => t.start))) / 1e6)}. Limit reached: raise it or narrow the search` : "";
  const list = h("ol", { class: `trace-list${traces.length > 200 ? " many" : ""}` });
  const compare = h("span", { class: "trace-compare", role: "status" });
  const drawList = () => {
    const longest = Math.max(...traces.map((t) => t.duration), 1);
    clear(list).append(...order(traces, search.sort).map((t) => result(page, t, longest, now, drawCompare)));
  };
  const drawCompare = () => {
    const [a, b] = page.ticked;
    clear(compare).append(...[b ? h("a", { class: "trace-button", href: address(`/trace/${a}`, { compare: b }) }, "Compare") : a ? "Select another to compare" : ""]);
  };
  drawList();
  drawCompare();
  const chart = scatter(traces, { open: (t) => ctx.go(`/trace/${t.id}`), signal: ctx.signal });
  results.append(
    chart.element,
    h("div", { class: "trace-bar" },
      h("h2", null, plural(traces.length, "trace")), h("p", { class: "note" }, limitNote), compare,
      select("Sort", orders, search.sort, (v) => {
        search.sort = v;
        ctx.setQuery({ sort: v === "newest" ? null : v });
        drawList();
      })),
    list);
  chart.draw();
}

function result(page, t, longest, now, changed) {
  const recent = now - (t.start + t.duration) / 1000 < arrivalTime;
  const name = `${t.service}: ${t.name}`;
  const tick = h("input", { type: "checkbox", "aria-label": `Compare ${name} ${t.id.slice(-7)}` });
  tick.checked = page.ticked.includes(t.id);
  tick.addEventListener("change", () => {
    page.ticked = page.ticked.filter((id) => id !== t.id);
    if (tick.checked) page.ticked.push(t.id);
    // A third selection replaces the first.
    if (page.ticked.length > 2) {
      const dropped = page.ticked.shift();
      const other = page.results.querySelector(`li[data-id="${CSS.escape(dropped)}"] input`);
      if (other) other.checked = false;
    }
    changed();
  });
  const bar = h("span", { class: `trace-length svc-${colour(t.service)}`, style: { width: `${Math.max(0.3, (100 * t.duration) / longest)}%` } });
  return h("li", { dataset: { id: t.id } },
    h("label", { class: "trace-tick", title: "Select two to compare" }, tick),
    h("a", { href: `/trace/${t.id}`, class: "trace-name" },
      h("strong", null, t.service), " ", h("span", null, t.name), " ", h("code", null, `…${t.id.slice(-7)}`)),
    h("span", { class: "trace-duration" }, seconds(t.duration / 1e6)),
    h("span", { class: "trace-track", "aria-hidden": "true" }, bar),
    h("span", { class: "trace-labels" },
      t.errors > 0 && h("span", { class: "badge bad" }, plural(t.errors, "error")), " ",
      t.status !== undefined && h("span", { class: `badge ${t.status >= 500 ? "bad" : t.status >= 400 ? "warn" : ""}`, title: "Response status code" }, String(t.status)), " ",
      t.incomplete && h("span", { class: `badge ${recent ? "" : "warn"}`, title: "The root or the parent of a span is missing: not arrived yet, or not sampled." }, recent ? "still arriving" : "incomplete"), " ",
      h("span", { class: "note" }, plural(t.spans, "span")), " ",
      t.services.map((x) => h("span", { class: `trace-service svc-${colour(x.name)}` }, `${x.name} ${x.spans}`))),
    h("time", { class: "note", datetime: new Date(t.start / 1000).toISOString(), title: ago(t.start / 1000) }, dateTime(t.start / 1000, true)));
}
