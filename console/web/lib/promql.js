// What PromQL text means at a position: for completion, hints and units. Prometheus itself checks
// queries.

const word = /[\w:]/;

// grouping are the keywords whose parentheses contain label names.
const grouping = ["by", "without", "on", "ignoring", "group_left", "group_right"];

// keywords are offered besides functions and metrics.
export const keywords = [...grouping, "and", "or", "unless", "offset", "bool", "anchored", "smoothed"];

// aggregations are operators. Prometheus lists its functions itself (/api/v1/features).
export const aggregations = { sum: "sum over series", avg: "average over series", min: "minimum over series", max: "maximum over series", count: "number of series", topk: "the k largest series",
  bottomk: "the k smallest series", quantile: "quantile over series", stddev: "standard deviation over series", stdvar: "variance over series", group: "1 for each group", count_values: "number of series with the same value",
  limitk: "a sample of k series", limit_ratio: "a sample of a share of the series" };

// functions are descriptions of common functions.
export const functions = {
  rate: "increase per second of a counter or histogram", increase: "increase of a counter or histogram over a range", irate: "increase per second between the last two samples",
  histogram_quantile: "quantile of a histogram, as in 0.99", histogram_count: "observations of a native histogram", histogram_sum: "sum of observations of a native histogram", histogram_avg: "mean of a native histogram",
  histogram_fraction: "share of observations between two values", histogram_stddev: "standard deviation of a native histogram", avg_over_time: "average over a range", min_over_time: "minimum over a range", max_over_time: "maximum over a range",
  sum_over_time: "sum over a range", count_over_time: "number of samples over a range", last_over_time: "last sample of a range", quantile_over_time: "quantile over a range", changes: "number of changes over a range",
  resets: "number of counter resets over a range", delta: "difference between the ends of a range, of a gauge", deriv: "derivative per second, of a gauge", predict_linear: "value in t seconds, by linear regression",
  absent: "1 if there is no series", absent_over_time: "1 if there is no sample in a range", clamp_min: "lower limit for values", clamp_max: "upper limit for values", clamp: "limits for values", label_replace: "sets a label by a regular expression",
  label_join: "joins label values", round: "rounds values", sort_desc: "sorts series, the largest first", sort: "sorts series, the smallest first", time: "evaluation time in seconds", timestamp: "time of each sample", vector: "a series without labels",
  scalar: "the value of a single series", abs: "absolute values", ceil: "rounds up", floor: "rounds down", info: "adds labels of info metrics, as in target_info",
};

// scan reads text up to a position. It returns the open brackets, the innermost last, as {open, word,
// from}, and the string or comment that the position is in.
function scan(text, at) {
  const stack = [];
  let string = null, last = "", i = 0;
  while (i < at) {
    const c = text[i];
    if (string) {
      if (c === "\\" && string.quote !== "`") i++;
      else if (c === string.quote) string = null;
      i++;
    } else if (c === "#") {
      while (i < at && text[i] !== "\n") i++;
      if (i === at) return { stack, comment: true };
    } else if ("\"'`".includes(c)) {
      string = { quote: c, from: ++i };
    } else if (word.test(c)) {
      const from = i;
      while (i < at && word.test(text[i])) i++;
      last = text.slice(from, i);
    } else {
      if ("{([".includes(c)) stack.push({ open: c, word: last, from: i + 1 });
      else if ("})]".includes(c)) stack.pop();
      if (!/\s/.test(c)) last = "";
      i++;
    }
  }
  return { stack, string };
}

// outside returns the text with strings and comments replaced by spaces.
export const outside = (text) => text.replace(/#[^\n]*|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|`[^`]*`?/gs, (part) => part.replace(/[^\n]/g, " "));

// context returns what can be completed at a position: {kind, from, to, prefix} with the kind name
// (metrics, functions and keywords), label, value or duration; null in a comment or other string. For
// labels and values it has the metric of the selector, and its other matchers; a value has its label, its
// operator, and quoted if it is within quotes.
export function context(text, at) {
  const { stack, string, comment } = scan(text, at);
  if (comment) return null;
  const inner = stack.at(-1);
  const end = (from, part) => {
    let to = from;
    while (to < text.length && part.test(text[to])) to++;
    return to;
  };
  if (inner?.open === "{") {
    const before = text.slice(inner.from, string ? string.from - 1 : at);
    const m = /(?:^|,)\s*(\w+)\s*(=~|!~|!=|=)\s*$/.exec(before);
    const selector = { metric: grouping.includes(inner.word) ? "" : inner.word, matchers: matchers(text, inner.from, m ? m[1] : "") };
    if (string && m) {
      const to = end(at, new RegExp(`[^${string.quote}\\n]`));
      return { kind: "value", from: string.from, to, prefix: text.slice(string.from, at), label: m[1], op: m[2], quoted: text[to] === string.quote ? "both" : "open", quote: string.quote, ...selector };
    }
    if (string) return null;
    if (m) return { kind: "value", from: at, to: at, prefix: "", label: m[1], op: m[2], quoted: "", quote: '"', ...selector };
    const [part] = /\w*$/.exec(before);
    if (!/(?:^|,)\s*$/.test(before.slice(0, before.length - part.length))) return null;
    return { kind: "label", from: at - part.length, to: end(at, /\w/), prefix: part, braces: true, ...selector };
  }
  if (string) return null;
  const [part] = /[\w:]*$/.exec(text.slice(0, at));
  const place = { from: at - part.length, to: end(at, word), prefix: part };
  if (inner?.open === "[") return { kind: "duration", ...place };
  if (inner?.open === "(" && grouping.includes(inner.word)) return { kind: "label", metric: "", matchers: [], names: names(text), ...place };
  if (/^\d/.test(part)) return null; // a number
  return { kind: "name", ...place };
}

// matchers returns the complete matchers of the selector that starts at from, except those of a label.
function matchers(text, from, except) {
  const close = outside(text).indexOf("}", from), body = text.slice(from, close < 0 ? text.length : close);
  return [...body.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/g)].filter((m) => m[1] !== except).map((m) => `${m[1]}${m[2]}${m[3]}`);
}

// selectorOf returns the selector of a context for match[], null if it has no metric.
export function selectorOf({ metric, matchers: list = [] }) {
  return metric || list.length ? `${metric}{${list.join(",")}}` : null;
}

// names returns the words of a query outside strings and braces: metrics, functions and keywords. 1e3 and
// 5m are numbers.
export function names(text) {
  const plain = outside(text).replace(/\{[^}]*\}?/g, (b) => " ".repeat(b.length)).replace(/\[[^\]]*\]?/g, "").replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi, "");
  return [...new Set(plain.match(/(?<![\w:.])[a-zA-Z_:][\w:]*/g) ?? [])];
}

// metricsOf returns the metrics of a query: its words that are not followed by a parenthesis and are no
// keyword.
export function metricsOf(text) {
  return names(text).filter((n) => !keywords.includes(n.toLowerCase()) && !new RegExp(`\\b${n}\\s*\\(`).test(text) && !(n in aggregations) && !/^(?:inf|nan)$/i.test(n));
}

// isSelector reports whether a query is a single instant selector.
export const isSelector = (text) => /^\s*[a-zA-Z_:][\w:]*\s*(?:\{[^{}]*\}\s*)?$/.test(outside(text));

// unitOf returns the unit of a query's values as far as its form shows it, else "short". The names of
// metrics end in their unit.
export function unitOf(text) {
  const plain = outside(text).replace(/\{[^}]*\}/g, ""), all = metricsOf(text);
  const [, word, buckets] = (all.length === 1 && /_(seconds|bytes|ratio)(?:_total|(_bucket))?$/.exec(all[0])) || [];
  const unit = { seconds: "s", bytes: "bytes", ratio: "percentunit" }[word];
  if (!unit || /[/*]|\b(?:count|histogram_count|histogram_fraction|stdvar\w*|absent|changes|resets|timestamp|group)\s*\(/.test(plain)) return "short";
  if (/\bhistogram_(?:quantile|quantiles|avg|stddev)\s*\(/.test(plain)) return unit;
  if (buckets) return "short"; // a number of observations
  if (/\b(?:rate|irate|deriv)\s*\(/.test(plain)) return unit === "bytes" ? "binBps" : "short";
  return unit;
}

// exemplarsFit reports whether the values of a query are those of observations, so that exemplars can be
// drawn on its axis.
export const exemplarsFit = (text) => /\bhistogram_(?:quantile|avg)\s*\(/.test(outside(text));

// hints returns suggestions for a query: [{text, expr, label}]. Types are by metric. A range that is
// anchored counts the first sample of a new series, too.
export function hints(text, { histograms, types = {} }) {
  const expr = text.trim(), metric = metricsOf(text)[0] ?? "";
  if (!isSelector(text)) {
    const quantile = histograms && !/\bhistogram_/.test(outside(text));
    return quantile ? [{ text: "The result has native histograms: a heat map shows them.", label: "p99", expr: `histogram_quantile(0.99, ${/^\s*sum\b/.test(text) ? expr : `sum(${expr})`})` }] : [];
  }
  const rate = `rate(${expr}[1m] anchored)`;
  if (histograms) {
    return [{ text: "This native histogram counts all observations since the start of its process.", label: "Rate", expr: `sum(${rate})` },
      { label: "p99", expr: `histogram_quantile(0.99, sum(${rate}))` }, { label: "Requests per second", expr: `sum(histogram_count(${rate}))` }];
  }
  if (/_bucket$/.test(metric)) return [{ text: "These are the buckets of a classic histogram.", label: "p99", expr: `histogram_quantile(0.99, sum by (le) (${rate}))` }];
  if (types[metric] === "counter" || /_total$/.test(metric) || /_(?:count|sum)$/.test(metric) && /histogram|summary/.test(types[metric])) return [{ text: "A counter only increases.", label: "Rate", expr: rate }];
  return [];
}

// renamed returns a query with another metric. Strings stay.
function renamed(text, name, other) {
  const places = [...outside(text).matchAll(new RegExp(`(?<![\\w:])${name}(?![\\w:])`, "g"))].map((m) => m.index);
  return places.reverse().reduce((t, i) => t.slice(0, i) + other + t.slice(i + name.length), text);
}

// unknown returns suggestions for the metrics of a query that are not among all: the most similar name, if its
// beginning is the same.
export function unknown(text, all) {
  const known = new Set(all);
  const common = (a, b) => {
    let n = 0;
    while (n < a.length && a[n] === b[n]) n++;
    return n;
  };
  return metricsOf(text).filter((name) => !known.has(name)).map((name) => {
    const near = all.map((other) => [common(name, other), other]).sort((a, b) => b[0] - a[0] || a[1].length - b[1].length)[0];
    const similar = near && near[0] >= Math.max(3, name.length / 2) ? { label: near[1], expr: renamed(text, name, near[1]) } : {};
    return { text: `No metric ${name} in this time range.`, ...similar };
  });
}

// characters returns how many of a line are within its first bytes.
function characters(line, bytes) {
  let n = 0;
  for (const c of line) {
    if (bytes <= 0) break;
    bytes -= new TextEncoder().encode(c).length;
    n += c.length;
  }
  return n + Math.max(0, bytes); // more than the line has
}

// positions returns the places in a query that a message of Prometheus names, as in "1:5: parse error" or
// "(1:5)": [{from, line, column}]. Prometheus counts bytes.
export function positions(message, text) {
  const lines = text.split("\n");
  return [...message.matchAll(/(?:^|[\s(])(\d+):(\d+)(?=[):])/g)].map((m) => ({ line: Number(m[1]), column: characters(lines[m[1] - 1] ?? "", m[2] - 1) + 1 }))
    .filter(({ line, column }) => line >= 1 && line <= lines.length && column >= 1 && column <= lines[line - 1].length + 1)
    .map(({ line, column }) => ({ line, column, from: lines.slice(0, line - 1).reduce((n, l) => n + l.length + 1, 0) + column - 1 }));
}

// rank returns the candidates {name} that contain the prefix, the best first: those that start with it,
// then those with a part that does.
export function rank(list, prefix) {
  const p = prefix.toLowerCase();
  const score = (name) => {
    const n = name.toLowerCase(), i = n.indexOf(p);
    return i < 0 ? -1 : i === 0 ? 2 : /[_:./-]/.test(n[i - 1]) ? 1 : 0;
  };
  return list.map((c) => [score(c.name), c]).filter(([s]) => s >= 0).sort((a, b) => b[0] - a[0]).map(([, c]) => c);
}
