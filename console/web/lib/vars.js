// Dashboard variables: their values in the URL, and interpolation in queries.

export const ALL = "$__all";

// definitions returns the variables of a dashboard file.
export function definitions(dashboard) {
  return (dashboard.templating?.list ?? []).filter((v) => v.type === "query").map((v) => ({
    name: v.name, label: v.label || v.name, description: v.description ?? "", multi: Boolean(v.multi), includeAll: Boolean(v.includeAll),
    allValue: v.allValue || ".*", hide: v.hide === 2, query: typeof v.query === "string" ? v.query : v.query?.query ?? "",
    sort: v.sort ?? 0, initial: [v.current?.value ?? []].flat().filter((x) => x !== ""),
  }));
}

// read returns the selected values by name: from the URL query, the dashboard file, or all.
export function read(defs, query) {
  const values = {};
  for (const d of defs) {
    let chosen = query.getAll(`var-${d.name}`).map((v) => (v === "All" ? ALL : v));
    if (chosen.length === 0) chosen = d.initial;
    if (!d.multi) chosen = chosen.slice(0, 1);
    if (chosen.includes(ALL) || chosen.length === 0) chosen = d.includeAll ? [ALL] : [];
    values[d.name] = chosen;
  }
  return values;
}

// escape quotes a value for a regular expression within a PromQL string.
export function escape(value) {
  return value.replace(/\\/g, "\\\\\\\\").replace(/[$^*{}[\]+?.()|]/g, "\\\\$&").replace(/"/g, '\\"').replace(/\n/g, "\\n");
}

// pattern returns the regular expression of a matcher =~ for the values.
export function pattern(values, allValue = ".*") {
  if (!values || values.length === 0 || values.includes(ALL)) return allValue;
  return values.length === 1 ? escape(values[0]) : `(${values.map(escape).join("|")})`;
}

// duration formats whole seconds as a PromQL duration.
export const duration = (seconds) => `${Math.max(1, Math.round(seconds))}s`;

// rateInterval is long enough for a rate at any step: components export every 5 s, Prometheus
// scrapes itself every 10 s.
export const rateInterval = (step) => Math.max(30, Math.round(4 * step));

// interpolate replaces $name, ${name} and Grafana's built-in variables with values.
export function interpolate(text, values, defs, range, step) {
  const builtIn = { __rate_interval: duration(rateInterval(step)), __range: duration(range), __interval: duration(step) };
  return text.replace(/\$(?:\{(\w+)(?::regex)?\}|(\w+))/g, (all, braced, bare) => {
    const name = braced ?? bare;
    if (Object.hasOwn(builtIn, name)) return builtIn[name];
    if (!Object.hasOwn(values, name)) return all;
    return pattern(values[name], defs.find((d) => d.name === name)?.allValue);
  });
}

// labelValues parses the query of a variable: {match, label}, or null.
export function labelValues(query) {
  const m = /^\s*label_values\(\s*(?:(.+?)\s*,\s*)?(\w+)\s*\)\s*$/s.exec(query);
  return m ? { match: m[1] ?? null, label: m[2] } : null;
}

// sorted returns values in the sort order of a variable: 0 unsorted, 1 and 2 alphabetical, 3 and
// 4 numerical; even numbers descending.
export function sorted(values, sort) {
  if (!sort) return values;
  const list = [...values].sort((a, b) => (sort > 2 ? parseFloat(a) - parseFloat(b) : a < b ? -1 : a > b ? 1 : 0));
  return sort % 2 ? list : list.reverse();
}

// toQuery returns the URL parameters of the values: null removes a default value.
export function toQuery(defs, values) {
  const q = {};
  for (const d of defs) {
    const now = values[d.name];
    const initial = read([d], new URLSearchParams())[d.name];
    q[`var-${d.name}`] = now.join("\n") === initial.join("\n") ? null : now;
  }
  return q;
}
