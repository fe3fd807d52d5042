// Requests of the pages to the server.

import { startHint } from "./lab.js";

// get returns the JSON of a URL, or null if the response has no content. An error response
// becomes an Error with the server's message and status.
export async function get(path, signal, method = "GET", { body, headers } = {}) {
  let response;
  try {
    response = await fetch(path, { method, signal, body, headers: { Accept: "application/json", ...headers } });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(`The console does not respond. ${startHint()}.`);
  }
  if (response.status === 204) return null;
  if (response.status === 431) throw new Error("The request is too long for the console. Shorten the queries.");
  const text = await response.text();
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error(response.ok ? `${path}: the response is not JSON` : `${response.status}: ${text.slice(0, 300).trim() || response.statusText}`);
  }
  if (!response.ok) {
    const message = value.error ?? value.errors?.[0]?.msg ?? value.detail ?? response.statusText;
    throw Object.assign(new Error(String(message)), { status: response.status, flag: value.flag });
  }
  return value;
}

// address builds a URL. Lists become repeated parameters, empty values are left out.
export function address(path, values) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    for (const v of [value].flat()) if (v !== null && v !== undefined && v !== "") q.append(name, v);
  }
  const text = q.toString();
  return text ? `${path}?${text}` : path;
}

async function prometheus(what, values, signal) {
  // Prometheus may respond with 204 if it has no data.
  return (await get(address(`/-/prometheus/api/v1/${what}`, values), signal))?.data ?? null;
}

// Prometheus' query API. Times are seconds since the epoch. Results are those of Prometheus:
// lists of {metric, value | values | histogram | histograms}.
export const prom = {
  // response returns {data, warnings, infos}, for a query that a person wrote.
  response: async (what, values, signal) => (await get(address(`/-/prometheus/api/v1/${what}`, values), signal)) ?? { data: null },
  metadata: (signal) => get("/-/metadata", signal),
  functions: async (signal) => Object.entries((await prometheus("features", {}, signal))?.promql_functions ?? {}).filter(([, enabled]) => enabled).map(([name]) => name),
  rules: async (signal) => (await prometheus("rules", { type: "alert" }, signal))?.groups ?? [],
  labels: async (match, start, end, signal) => (await prometheus("labels", { "match[]": match, start, end }, signal)) ?? [],
  instant: async (query, time, signal) => (await prometheus("query", { query, time }, signal))?.result ?? [],
  range: async (query, start, end, step, signal) => (await prometheus("query_range", { query, start, end, step }, signal))?.result ?? [],
  exemplars: async (query, start, end, signal) => (await prometheus("query_exemplars", { query, start, end }, signal)) ?? [],
  labelValues: async (label, match, start, end, signal) => (await prometheus(`label/${encodeURIComponent(label)}/values`, { "match[]": match, start, end }, signal)) ?? [],
};

// searchTraces returns {traces, matched, read, read_max, cut, services, pushed}: see Result in
// console/traces/search.go. A trace is {id, service, name, status, start, duration, spans, errors,
// services: [{name, spans}], incomplete, matched, match}. Times are microseconds since the epoch.
export const searchTraces = (values, signal) => get(address("/-/traces", values), signal);

// oneTrace returns {trace, critical}: a trace in Jaeger's JSON, and its critical path.
export const oneTrace = (id, signal) => get(`/-/traces/${encodeURIComponent(id)}`, signal);

// readFile returns {traces: [{summary, trace, critical}], skipped} of a file of traces.
export const readFile = (file, signal) => get("/-/traces", signal, "POST", { body: file });

// Jaeger's query API.
export const jaeger = {
  services: async (signal) => (await get("/api/services", signal)).data ?? [],
  operations: async (service, signal) => (await get(address("/api/operations", { service }), signal)).data ?? [],
};
