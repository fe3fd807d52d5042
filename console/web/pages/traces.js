// /traces: the search for traces.

import { h, clear } from "../lib/dom.js";
import { address, jaeger, searchTraces } from "../lib/api.js";
import { ago, dateTime, plural, seconds } from "../lib/format.js";
import { startHint } from "../lib/lab.js";
import { empty, field, problem, select } from "../lib/ui.js";
import { colour } from "../lib/trace.js";
import { anyService, limits, lookbacks, order, orders, read, request, traceID } from "../lib/tracequery.js";
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
  root.append(h("div", { class: "head" }, h("h1", null, "Traces"), h("a", { href: "/traces/file" }, "Open a trace file"), byID(ctx)), form(page, services), results);
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
  services = [[anyService, "all services"], ...services];
  if (search.service && search.service !== anyService && !services.includes(search.service)) services.push(search.service);
  const operations = h("select", { "aria-label": "Operation" });
  const fillOperations = async () => {
    const options = (names) => clear(operations).append(h("option", { value: "" }, "all"), ...names.map((n) => h("option", { value: n, selected: n === search.operation }, n)));
    options(search.operation ? [search.operation] : []);
    try {
      const service = search.service;
      const list = service && service !== anyService ? await jaeger.operations(service, ctx.signal) : [];
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
    text("minDuration", "Min duration", { placeholder: "e.g. 5ms", class: "trace-short" }),
    text("maxDuration", "Max duration", { placeholder: "e.g. 1.2s", class: "trace-short" }),
    select("Time", lookback, search.lookback, (v) => {
      search.lookback = v;
      drawAbsolute();
    }),
    absolute,
    select("Limit", limit, search.limit, (v) => (search.limit = v)),
    h("div", { class: "trace-filter-field" }, text("filter", "Filter", { placeholder: "http.response.status_code >= 500 and duration > 100ms", class: "mono", "aria-describedby": "filter-help" })),
    h("button", { type: "submit", class: "primary" }, "Find traces"), help());
}

// help explains the filter: see Filter in console/traces/filter.go.
const help = () => h("details", { class: "trace-help" }, h("summary", { id: "filter-help" }, "Filter syntax"),
  h("p", { class: "note" }, "The conditions, joined by and, or and parentheses, must hold for one span of the selected service. and comes before or."),
  h("dl", null, [
    ["http.route = /albums/:id", "an attribute of the span, or else of the resource. span.KEY and resource.KEY select one"],
    ["http.response.status_code >= 500", "= != > >= < <= compare numbers as numbers"],
    ["url.path contains albums", "part of the text. Also: not contains"],
    ['db.query.text =~ "SELECT.*"', "a regular expression (RE2) for the whole value. Also: !~"],
    ["error.type exists", "the attribute is set. Also: not exists"],
    ["duration > 1s or (status = error and kind = server)", "one of the two. Quote values with spaces or single parentheses"],
    ["duration > 100ms and status = error", "fields of the span: duration, status (error, ok, unset), kind, name, service"],
  ].map(([code, text]) => h("div", null, h("dt", null, h("code", null, code)), h("dd", { class: "note" }, text)))));

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

// inAddress returns the parameters of a search in the URL. Tags have become a part of the filter.
function inAddress(search) {
  const custom = search.lookback === "custom";
  return { ...search, tags: null, start: custom ? search.start : null, end: custom ? search.end : null, sort: search.sort === "newest" ? null : search.sort };
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
  const slow = setTimeout(() => results.prepend(h("p", { class: "note", role: "status" }, "Still reading traces from Jaeger …")), 1500);
  try {
    const values = request(search);
    const found = await searchTraces(values, ctx.signal);
    if (page.run !== current) return;
    page.found = found;
    page.traces = found.traces;
    page.ticked = page.ticked.filter((id) => page.traces.some((t) => t.id === id));
    draw(page, values);
  } catch (error) {
    if (ctx.signal.aborted || page.run !== current) return;
    clear(results).append(problem(error.message, pointer(search.filter, error.message)));
  } finally {
    clearTimeout(slow);
  }
  if (page.run !== current) return;
  results.removeAttribute("aria-busy");
  root.dataset.loaded = "true";
}

// pointer shows the place of an error in the filter.
function pointer(filter, message) {
  const at = /^Filter, character (\d+):/.exec(message);
  return at && h("pre", { class: "mono" }, `${filter.trim()}\n${" ".repeat(at[1] - 1)}^`);
}

// reading describes which traces the search has looked at, and what a limit has cut.
function reading(page) {
  const { found: f, search } = page;
  const filtered = search.filter.trim() || search.operation || search.minDuration || search.maxDuration;
  const text = [];
  const from = f.services.length > 1 ? ` of ${plural(f.services.length, "service")}` : "";
  if (filtered) {
    text.push(`${f.matched} of ${plural(f.read, "trace")}${from} read from Jaeger ${f.matched === 1 ? "matches" : "match"}.`);
    if (f.pushed?.length) text.push(`Jaeger preselected by: ${f.pushed.join(", ")}.`);
  }
  const each = f.services.length > 1 ? " for each service" : "";
  if (f.matched > f.traces.length && f.cut) text.push(`Only the newest ${f.traces.length} are shown, and older traces were not read: raise the limit or narrow the search.`);
  else if (f.matched > f.traces.length) text.push(`Only the newest ${f.traces.length} are shown: raise the limit.`);
  else if (f.cut && f.read_max > search.limit) text.push(`Older traces were not read: the maximum is ${f.read_max}${each}. Narrow the time range, or add a condition with =.`);
  else if (f.cut) text.push(`Limit of ${f.read_max}${each} reached, older traces were not read: raise it or narrow the search.`);
  return text.join(" ");
}

// arrivalTime is how long the spans of a trace take to arrive, in milliseconds.
const arrivalTime = 15e3;

function draw(page, values) {
  const now = Date.now();
  const { ctx, search, results, traces } = page;
  clear(results);
  if (!traces.length) {
    results.append(empty("No matching traces.", page.found.services.length ? h("p", null, reading(page)) : h("p", null, `The filter's service is not ${search.service === anyService ? "in Jaeger" : search.service}.`), h("p", null, `${page.found.cut ? "" : `Extend the time range${search.service === anyService ? "" : ", select all services"} or remove conditions. `}Searched: ${dateTime(values.start / 1000)} to ${dateTime(values.end / 1000)}.`)));
    return;
  }
  const span = traces.length > 1 ? `Within ${seconds((Math.max(...traces.map((t) => t.start)) - Math.min(...traces.map((t) => t.start))) / 1e6)}. ` : "";
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
      h("h2", null, plural(traces.length, "trace")), h("p", { class: "note" }, span + reading(page)), compare,
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
    h("a", { href: `/trace/${t.id}${t.match && page.search.filter.trim() ? `#span=${t.match}` : ""}`, class: "trace-name" },
      h("strong", null, t.service), " ", h("span", null, t.name), " ", h("code", null, `…${t.id.slice(-7)}`)),
    h("span", { class: "trace-duration" }, seconds(t.duration / 1e6)),
    h("span", { class: "trace-track", "aria-hidden": "true" }, bar),
    h("span", { class: "trace-labels" },
      t.errors > 0 && h("span", { class: "badge bad" }, plural(t.errors, "error")), " ",
      t.status !== undefined && h("span", { class: `badge ${t.status >= 500 ? "bad" : t.status >= 400 ? "warn" : ""}`, title: "Response status code" }, String(t.status)), " ",
      t.incomplete && h("span", { class: `badge ${recent ? "" : "warn"}`, title: "The root or the parent of a span is missing: not arrived yet, or not sampled." }, recent ? "still arriving" : "incomplete"), " ",
      h("span", { class: "note" }, plural(t.spans, "span")), " ",
      t.matched && page.search.filter.trim() ? h("span", { class: "note" }, `${t.matched} matching`) : "", " ",
      t.services.map((x) => h("span", { class: `trace-service svc-${colour(x.name)}` }, `${x.name} ${x.spans}`))),
    h("time", { class: "note", datetime: new Date(t.start / 1000).toISOString(), title: ago(t.start / 1000) }, dateTime(t.start / 1000, true)));
}
