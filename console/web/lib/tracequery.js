// Trace searches: from the URL and the form to the server's API.

// logfmt parses `a=b c="d e"` into an object. A name alone is true. It throws on syntax errors.
export function logfmt(text) {
  const tags = {};
  let i = 0;
  const fail = (what) => {
    throw new Error(`Tags: ${what}. Example: http.response.status_code=500 error=true name="two words".`);
  };
  while (i < text.length) {
    if (/\s/.test(text[i])) {
      i++;
      continue;
    }
    const key = /^[^\s="]+/.exec(text.slice(i))?.[0];
    if (!key) fail(`a name is missing at character ${i + 1}`);
    i += key.length;
    if (text[i] !== "=") {
      if (text[i] === '"') fail(`"=" is missing after ${key}`);
      tags[key] = "true";
      continue;
    }
    i++;
    if (text[i] === '"') {
      let value = "";
      for (i++; text[i] !== '"'; i++) {
        if (i >= text.length) fail(`the quoted value of ${key} has no closing quote`);
        if (text[i] === "\\" && i + 1 < text.length) i++;
        value += text[i];
      }
      i++;
      if (i < text.length && !/\s/.test(text[i])) fail(`unexpected text after the quoted value of ${key}`);
      tags[key] = value;
    } else {
      const value = /^\S*/.exec(text.slice(i))[0];
      if (value.includes('"')) fail(`unexpected quote in the value of ${key}`);
      tags[key] = value;
      i += value.length;
    }
  }
  return tags;
}

const units = { ns: 1e-9, us: 1e-6, "µs": 1e-6, "μs": 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

// duration parses "1.5ms" or "1m30s" into seconds. Empty is null; it throws on syntax errors.
export function duration(text, what) {
  const t = text.trim();
  if (!t) return null;
  const parts = [...t.matchAll(/(\d+(?:\.\d+)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)/gy)];
  if (parts.map((p) => p[0]).join("") !== t) throw new Error(`${what}: ${JSON.stringify(text)} is not a duration. Examples: 1.2s, 100ms, 500us.`);
  return parts.reduce((sum, p) => sum + Number(p[1]) * units[p[2]], 0);
}

// lookbacks, limits and orders are the options of the form.
export const lookbacks = [["5m", "last 5 minutes"], ["15m", "last 15 minutes"], ["30m", "last 30 minutes"], ["1h", "last hour"], ["3h", "last 3 hours"],
  ["6h", "last 6 hours"], ["12h", "last 12 hours"], ["1d", "last day"], ["2d", "last 2 days"], ["7d", "last week"], ["custom", "from … to …"]];
export const limits = ["20", "50", "100", "200", "500", "1500"];
export const orders = [["newest", "newest first"], ["oldest", "oldest first"], ["failed", "with errors first"], ["errors", "most errors first"],
  ["longest", "longest first"], ["shortest", "shortest first"], ["spans", "most spans first"]];
const maxLimit = 1500;

// anyService is the service of a search in all of them.
export const anyService = "*";

const plain = /^[\w./:*-]+$/;
const quoted = (text, reserved) => (plain.test(text) && !reserved.test(text) ? text : JSON.stringify(text));
const words = /^(?:and|or|not)$/i, fields = /^(?:and|or|not|service|name|kind|status|duration)$/i; // a quoted key is an attribute

// fromTags returns the filter for tags of Jaeger's UI: logfmt, or a JSON object.
function fromTags(text) {
  try {
    const tags = text.startsWith("{") ? JSON.parse(text) : logfmt(text);
    return Object.entries(tags).map(([k, v]) => `${quoted(k, fields)} = ${quoted(String(v), words)}`).join(" and ");
  } catch {
    return text; // the server says what is wrong with it
  }
}

// read returns the search in a URL, with the parameter names of Jaeger's UI, and filter. The
// tags of that UI become part of the filter.
export function read(query) {
  const get = (name, or = "") => query.get(name) ?? or;
  const tags = fromTags(get("tags")), own = get("filter");
  const filter = [tags && /\bor\b|\|\|/i.test(own) ? `(${own})` : own, tags].filter(Boolean).join(" and ");
  const operation = get("operation");
  const search = { service: get("service"), operation: operation === "all" ? "" : operation, filter, minDuration: get("minDuration"),
    maxDuration: get("maxDuration"), lookback: get("lookback", "1h"), start: get("start"), end: get("end"), limit: get("limit", "100"), sort: get("sort", "newest") };
  if (search.start && search.end && !query.has("lookback")) search.lookback = "custom";
  if (!orders.some(([o]) => o === search.sort)) search.sort = "newest";
  return search;
}

// request returns the API parameters of a search. It throws if the search is invalid.
export function request(search, now = Date.now()) {
  if (!search.service) throw new Error("Service: select one.");
  const min = duration(search.minDuration, "Min duration"), max = duration(search.maxDuration, "Max duration");
  if (min !== null && max !== null && min > max) throw new Error("Min duration is more than max duration.");
  if (!/^\d+$/.test(search.limit) || search.limit < 1 || search.limit > maxLimit) throw new Error(`Limit: ${JSON.stringify(search.limit)} is not 1 to ${maxLimit}.`);
  let start, end;
  if (search.lookback === "custom") {
    start = Number(search.start), end = Number(search.end);
    if (!(start > 0) || !(end > 0)) throw new Error("From and to are both required.");
    if (start >= end) throw new Error("From must be before to.");
  } else {
    const back = duration(search.lookback, "Lookback");
    if (!back) throw new Error("Lookback: select one.");
    end = now * 1000;
    start = end - back * 1e6;
  }
  const time = (s) => (s === null ? "" : `${Math.round(s * 1e6)}us`);
  return { service: search.service === anyService ? "" : search.service, operation: search.operation, filter: search.filter.trim(),
    minDuration: time(min), maxDuration: time(max), start: Math.round(start), end: Math.round(end), limit: search.limit };
}

// order sorts summaries of traces.
export function order(traces, by) {
  const compare = {
    newest: (a, b) => b.start - a.start, oldest: (a, b) => a.start - b.start, failed: (a, b) => (b.errors > 0) - (a.errors > 0), longest: (a, b) => b.duration - a.duration, shortest: (a, b) => a.duration - b.duration,
    spans: (a, b) => b.spans - a.spans, errors: (a, b) => b.errors - a.errors,
  }[by];
  return [...traces].sort((a, b) => compare(a, b) || b.start - a.start || (a.id < b.id ? -1 : 1));
}

// traceID returns a normalized trace id, or null.
export function traceID(text) {
  const t = text.trim().toLowerCase();
  return /^[0-9a-f]{1,32}$/.test(t) && /[1-9a-f]/.test(t) ? t : null;
}
