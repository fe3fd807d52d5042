// Turns a trace in Jaeger's JSON into a tree of spans, ordered by start time. Times are
// microseconds since the epoch.

const tagValue = (tags, key) => tags.find((t) => t.key === key)?.value;

// isError reports whether the tags of a span mark it as failed.
export function isError(tags) {
  const error = tagValue(tags, "error");
  return error === true || error === "true" || tagValue(tags, "otel.status_code") === "ERROR";
}

// build returns a trace {id, spans, roots, root, start, end, duration, services, depth,
// errors, warnings, critical}. critical is the critical path, which the server computes:
// [{span, from, to}]. A span is {id, parent, parentID, children, depth, size, service, name,
// kind, start, end, duration, error, tags, process, logs, links, warnings, orphan}; spans are
// in depth-first order.
export function build(data, critical = []) {
  const warnings = [...(data.warnings ?? [])];
  const byID = new Map();
  const all = [];
  for (const raw of data.spans ?? []) {
    const span = read(raw, data.processes?.[raw.processID], data.traceID);
    const duplicate = byID.get(span.id);
    if (duplicate && duplicate.start === span.start && duplicate.duration === span.duration && duplicate.name === span.name) continue; // exported twice
    if (duplicate) span.warnings.push("Another span of this trace has the same id.");
    else byID.set(span.id, span);
    all.push(span);
  }
  for (const span of all) {
    const parent = byID.get(span.parentID);
    span.orphan = span.parentID !== "" && !parent;
    if (parent && parent !== span) adopt(parent, span);
  }
  const roots = all.filter((span) => !span.parent).sort(byStart);
  const spans = [];
  const seen = new Set();
  for (const root of roots) walk(root, spans, seen);
  // A cycle has no root: its earliest span becomes one.
  for (const span of [...all].sort(byStart)) {
    if (seen.has(span)) continue;
    span.parent.children = span.parent.children.filter((c) => c !== span);
    span.parent = null;
    span.orphan = true;
    span.warnings.push("Its parents form a cycle.");
    roots.push(span);
    walk(span, spans, seen);
  }
  for (const span of spans) checkTimes(span);
  const start = spans.reduce((t, x) => Math.min(t, x.start), Infinity);
  const end = spans.reduce((t, x) => Math.max(t, x.end), -Infinity);
  const orphans = spans.filter((x) => x.orphan).length;
  if (orphans) warnings.push(`${orphans === 1 ? "The parent of a span is" : `The parents of ${orphans} spans are`} missing: not arrived yet, or not sampled.`);
  return {
    id: data.traceID, spans, roots, root: roots[0] ?? null, start: spans.length ? start : 0, end: spans.length ? end : 0,
    duration: spans.length ? end - start : 0, services: counts(spans), depth: spans.reduce((d, x) => Math.max(d, x.depth + 1), 0),
    errors: spans.filter((x) => x.error).length, warnings,
    critical: critical.map((p) => ({ ...p, span: byID.get(p.span) })),
  };
}

// byStart orders spans by start time, the longer one first.
const byStart = (a, b) => a.start - b.start || b.end - a.end || (a.id < b.id ? -1 : 1);

function read(raw, process, traceID) {
  const tags = raw.tags ?? [];
  const references = raw.references ?? [];
  // Only CHILD_OF names a parent: Jaeger writes links as FOLLOWS_FROM, even a link to a span
  // of the same trace or to a child.
  const parent = references.find((r) => r.refType === "CHILD_OF" && r.traceID === traceID);
  return {
    id: raw.spanID, parentID: parent?.spanID ?? raw.parentSpanID ?? "", parent: null, children: [], depth: 0, size: 1, orphan: false,
    service: process?.serviceName ?? "unknown", name: raw.operationName ?? "", kind: String(tagValue(tags, "span.kind") ?? ""),
    start: raw.startTime, duration: raw.duration, end: raw.startTime + raw.duration, error: isError(tags),
    tags, process: process?.tags ?? [], logs: [...(raw.logs ?? [])].sort((a, b) => a.timestamp - b.timestamp),
    links: references.filter((r) => r !== parent), warnings: (raw.warnings ?? []).filter((w) => !isZeroLength(w)),
  };
}

// nanoseconds reads a time as Go writes it: 2026-01-02 15:04:05.000000001 +0000 UTC.
function nanoseconds(text) {
  const m = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,9}))? \+0000 UTC$/.exec(text);
  return m && BigInt(Date.parse(`${m[1]}T${m[2]}Z`)) * 1000000n + BigInt((m[3] ?? "").padEnd(9, "0"));
}

// isZeroLength reports whether a Jaeger warning is about a span of zero duration. Jaeger makes
// it 1 ns long and calls its duration negative.
export function isZeroLength(warning) {
  const m = /^Negative duration detected.*Original end timestamp: (.+), adjusted to: (.+)$/.exec(warning);
  const end = m && nanoseconds(m[1]), adjusted = m && nanoseconds(m[2]);
  return Boolean(end && adjusted) && adjusted - end === 1n;
}

function adopt(parent, span) {
  span.parent = parent;
  parent.children.push(span);
}

// walk lists a span and its descendants. It is not recursive, because a trace may be deep.
function walk(top, spans, seen) {
  const stack = [top];
  while (stack.length) {
    const span = stack.pop();
    if (seen.has(span)) continue;
    seen.add(span);
    spans.push(span);
    span.depth = span.parent ? span.parent.depth + 1 : 0;
    span.children.sort(byStart);
    for (let i = span.children.length - 1; i >= 0; i--) stack.push(span.children[i]);
  }
  for (let i = spans.length - 1; i >= 0 && spans[i] !== top; i--) spans[i].parent.size += spans[i].size;
}

// checkTimes adds warnings about a span that is not within its parent.
function checkTimes(span) {
  const parent = span.parent;
  if (!parent) return;
  if (span.end < parent.start || span.start > parent.end) span.warnings.push("Outside the duration of its parent: asynchronous work, or clock skew.");
  else if (span.start < parent.start) span.warnings.push("Starts before its parent: clock skew.");
  else if (span.end > parent.end) span.warnings.push("Ends after its parent: asynchronous work, or clock skew.");
}

// counts returns the number of spans and errors by service, in order of appearance.
function counts(spans) {
  const found = new Map();
  for (const span of spans) {
    const c = found.get(span.service) ?? { name: span.service, spans: 0, errors: 0 };
    c.spans++;
    if (span.error) c.errors++;
    found.set(span.service, c);
  }
  return [...found.values()];
}

// selfTime is the duration of a span during which none of its children ran.
export function selfTime(span) {
  let self = span.duration, at = span.start;
  for (const c of [...span.children].sort((a, b) => a.start - b.start)) {
    const from = Math.max(c.start, at), to = Math.min(c.end, span.end);
    if (to > from) {
      self -= to - from;
      at = to;
    }
  }
  return self;
}

// find returns the spans that contain a text in their service, operation, id, an attribute
// (key=value) or an event.
export function find(spans, text) {
  const want = text.trim().toLowerCase();
  if (!want) return [];
  const has = (v) => String(v).toLowerCase().includes(want);
  const any = (tags) => tags.some((t) => has(`${t.key}=${t.value}`));
  return spans.filter((x) => has(x.service) || has(x.name) || has(x.id) || any(x.tags) || any(x.process) || x.logs.some((l) => any(l.fields ?? [])));
}

// colour returns the number, 1 to 8, of a service's colour: the same on every page. The
// services of the lab never share one.
export function colour(service) {
  const known = ["proxy-service", "datagen", "album-store", "loadgen"].indexOf(service);
  if (known >= 0) return known + 1;
  let sum = 0;
  for (const c of service) sum = (sum * 31 + c.codePointAt(0)) % 9973;
  return 5 + (sum % 4);
}

// ticks returns about n round offsets, in microseconds, for a time axis.
export function ticks(from, to, n = 5) {
  const size = (to - from) / n;
  if (!(size > 0)) return [from];
  const power = 10 ** Math.floor(Math.log10(size));
  const step = Math.max(1, [1, 2, 5, 10].map((m) => m * power).find((s) => s >= size * 0.999));
  const list = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) list.push(t);
  return list;
}

const clockSteps = [1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800].map((s) => s * 1e6);

// clockTicks returns at most n round times of day between two times. zone is the time zone
// offset behind UTC, in microseconds.
export function clockTicks(from, to, n, zone = 0) {
  const step = clockSteps.find((s) => (to - from) / s <= n) ?? Math.ceil((to - from) / n / 86400e6) * 86400e6;
  const list = [];
  for (let t = Math.ceil((from - zone) / step) * step + zone; t <= to; t += step) list.push(t);
  return list;
}
