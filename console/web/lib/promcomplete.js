// Completions of PromQL from Prometheus' API: metrics with type, unit and help, functions, labels and values.

import { prom } from "./api.js";
import { aggregations, context, functions, keywords, metricsOf, rank, selectorOf } from "./promql.js";
import { escape } from "./vars.js";

const durations = [["1m", "one minute"], ["5m", "five minutes"], ["30s", "30 seconds"], ["15m", "15 minutes"], ["1h", "one hour"], ["1d", "one day"]];

// describe returns the type, unit and help of a metric. Without metadata, its name shows the unit and whether it is
// a counter.
export function describe(name, metadata) {
  const m = (metadata[name] ?? metadata[name.replace(/_(?:bucket|sum|count)$/, "")]);
  const unit = m?.unit || /_(seconds|bytes|ratio|celsius)(?:_total|_sum|_bucket)?$/.exec(name)?.[1] || "";
  const type = m?.type && m.type !== "unknown" ? m.type : /_total$/.test(name) ? "counter" : /:/.test(name) ? "recording rule" : "";
  return { type, unit, help: m?.help ?? "" };
}

// completer returns {complete, types, metrics}: complete is that of an editor. range() returns {from, to, start, end}, in
// which metrics and labels have samples. Responses are stored for half a minute.
export function completer(range, signal) {
  const cache = new Map();
  const once = (what, work) => {
    const { from, to } = range(), key = `${from} ${to} ${what}`;
    const old = cache.get(key);
    if (old && Date.now() - old.at < 30e3) return old.value;
    const value = work();
    cache.set(key, { at: Date.now(), value });
    value.catch(() => cache.delete(key));
    return value;
  };
  const during = () => {
    const { start, end } = range();
    return [Math.floor(start), Math.ceil(end)];
  };
  const metadata = () => once("metadata", () => prom.metadata(signal).catch(() => ({})));
  const metrics = () => once("metrics", () => prom.labelValues("__name__", null, ...during(), signal));
  // An older Prometheus does not list its functions.
  const available = () => once("functions", () => prom.functions(signal).catch(() => Object.keys(functions)));

  async function names({ prefix }, explicit) {
    if (!prefix && !explicit) return [];
    const [all, data, list] = await Promise.all([metrics(), metadata(), available()]);
    const metric = (name) => {
      const { type, unit, help } = describe(name, data);
      return { name, insert: name, kind: [type, unit].filter(Boolean).join(", ") || "metric", note: help };
    };
    const called = (name, note, kind) => ({ name, insert: `${name}()`, back: 1, kind, note, again: true });
    const others = [...Object.entries(aggregations).map(([n, note]) => called(n, note, "aggregation")), ...list.filter((n) => !(n in aggregations)).map((n) => called(n, functions[n] ?? "", "function")),
      ...keywords.map((name) => ({ name, insert: name, kind: "keyword" }))];
    return rank(prefix ? [...others, ...all.map(metric)] : [...all.map(metric), ...others], prefix);
  }

  async function labels(c) {
    const selector = selectorOf(c) ?? (await ofQuery(c.names ?? []));
    const found = await once(`labels ${selector}`, () => prom.labels(selector, ...during(), signal));
    return rank(found.filter((n) => n !== "__name__").map((name) => ({ name, insert: c.braces ? `${name}=` : name, again: c.braces, kind: "label" })), c.prefix);
  }

  // ofQuery returns the selectors of the metrics among the words of a query.
  async function ofQuery(words) {
    const all = new Set(await metrics());
    const list = words.filter((w) => all.has(w));
    return list.length ? list : null;
  }

  async function values(c) {
    const selector = selectorOf(c);
    const found = await once(`values ${c.label} ${selector}`, () => prom.labelValues(c.label, selector, ...during(), signal));
    const quote = c.quote === "`" ? "" : c.quote;
    const text = (v) => {
      const escaped = !quote ? v : c.op.includes("~") ? escape(v) : v.replace(/\\/g, "\\\\").replaceAll(quote, `\\${quote}`).replace(/\n/g, "\\n");
      return `${c.quoted ? "" : c.quote}${escaped}${c.quoted === "both" ? "" : c.quote}`;
    };
    return rank(found.map((name) => ({ name: name || '""', insert: text(name), kind: c.label })), c.prefix);
  }

  return {
    async complete(text, at, explicit) {
      const c = context(text, at);
      if (!c) return null;
      const of = { name: names, label: labels, value: values, duration: async () => rank(durations.map(([name, note]) => ({ name, insert: name, kind: "range", note })), c.prefix) };
      let options = await of[c.kind](c, explicit);
      if (c.kind === "name" && text[c.to] === "(") options = options.map((o) => (o.back ? { ...o, insert: o.name, back: 0 } : o));
      if (options.length === 1 && options[0].name === c.prefix && !explicit) options = [];
      return { from: c.from, to: c.to, options };
    },
    // types returns the types of a query's metrics, as far as Prometheus knows them.
    async types(text) {
      const data = await metadata();
      return Object.fromEntries(metricsOf(text).map((name) => [name, describe(name, data).type]));
    },
    metrics,
  };
}

