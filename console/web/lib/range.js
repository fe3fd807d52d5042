// Time ranges in Grafana's syntax: now-30m, now, milliseconds since the epoch, or
// 2026-01-02T15:04:05Z.

import { plural } from "./format.js";

const units = { s: 1, m: 60, h: 3600, d: 86400, w: 7 * 86400 };

// ranges are the options of the time range picker.
export const ranges = [["now-5m", "5 minutes"], ["now-15m", "15 minutes"], ["now-30m", "30 minutes"], ["now-1h", "1 hour"],
  ["now-3h", "3 hours"], ["now-6h", "6 hours"], ["now-24h", "24 hours"], ["now-7d", "7 days"]];

const words = { s: "second", m: "minute", h: "hour", d: "day", w: "week" };

// describe returns the title of a relative range, or null for fixed times. now-60m equals
// now-1h.
export function describe(from, to = "now") {
  const back = (text) => /^now(?:-(\d{1,9})([smhdw]))?$/.exec(text);
  const a = back(from), b = back(to);
  if (!a || !b) return null;
  if (to !== "now") return `${from} to ${to}`;
  const same = ranges.find(([value]) => length(value) === length(from));
  return `Last ${same ? same[1] : a[1] ? plural(Number(a[1]), words[a[2]]) : "moment"}`;
}

// length returns the seconds in a time like now-5m, and NaN for other times.
export const length = (text) => {
  const m = /^now-(\d{1,9})([smhdw])$/.exec(text);
  return m ? m[1] * units[m[2]] : NaN;
};

// longest is ten years, the longest range of a chart.
const longest = 3653 * 86400;

// parse returns seconds since the epoch, or null.
export function parse(text, now = Date.now() / 1e3) {
  const m = /^now(?:-(\d{1,9})([smhdw]))?$/.exec(text ?? "");
  if (m) return now - (m[1] ? m[1] * units[m[2]] : 0);
  if (/^\d{10,14}$/.test(text ?? "")) return text.length > 11 ? text / 1e3 : Number(text);
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text ?? "")) {
    const at = Date.parse(text) / 1e3;
    return Number.isNaN(at) ? null : at;
  }
  return null;
}

// read returns {from, to, start, end} of the query. If that is invalid, it returns the last 30
// minutes and the reason as wrong.
export function read(query, now = Date.now() / 1e3) {
  const from = query.get("from") ?? "now-30m", to = query.get("to") ?? "now";
  const start = parse(from, now), end = parse(to, now);
  let error = null;
  if (start === null) error = `from=${from} is not a time: use now-30m, or milliseconds since 1970`;
  else if (end === null) error = `to=${to} is not a time: use now, now-5m, or milliseconds since 1970`;
  else if (start >= end) error = `from=${from} is not before to=${to}`;
  else if (start < now - longest) error = `from=${from} is more than ten years ago`;
  else if (end > now + 86400) error = `to=${to} is in the future`;
  if (error) return { from: "now-30m", to: "now", start: now - 1800, end: now, error };
  return { from, to, start, end };
}

// wider returns a range twice as long around the same middle, within the allowed times.
export function wider(start, end, now = Date.now() / 1e3) {
  const half = end - start, middle = (start + end) / 2;
  return [Math.max(now - longest + 60, middle - half), Math.min(now, middle + half)];
}

// step returns the seconds between points for a chart width: about two pixels.
export function step(start, end, width = 800) {
  const sizes = [5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];
  const minStep = (end - start) / Math.max(50, width / 2);
  return sizes.find((n) => n >= minStep) ?? Math.ceil(minStep / 86400) * 86400;
}
