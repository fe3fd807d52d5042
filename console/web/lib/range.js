// Time ranges as Grafana writes them: now-30m, now, or milliseconds since the epoch.

const units = { s: 1, m: 60, h: 3600, d: 86400, w: 7 * 86400 };

// ranges are what can be chosen.
export const ranges = [["now-5m", "5 minutes"], ["now-15m", "15 minutes"], ["now-30m", "30 minutes"], ["now-1h", "1 hour"],
  ["now-3h", "3 hours"], ["now-6h", "6 hours"], ["now-24h", "24 hours"], ["now-7d", "7 days"]];

// parse returns seconds since the epoch, or null.
export function parse(text, now = Date.now() / 1e3) {
  const m = /^now(?:-(\d+)([smhdw]))?$/.exec(text ?? "");
  if (m) return now - (m[1] ? m[1] * units[m[2]] : 0);
  if (/^\d{10,14}$/.test(text ?? "")) return text.length > 11 ? text / 1e3 : Number(text);
  return null;
}

// read returns {from, to, start, end}: what the query says, or the last 30 minutes.
export function read(query, now = Date.now() / 1e3) {
  let from = query.get("from") ?? "now-30m", to = query.get("to") ?? "now";
  let start = parse(from, now), end = parse(to, now);
  if (start === null || end === null || start >= end) [from, to, start, end] = ["now-30m", "now", now - 1800, now];
  return { from, to, start, end };
}

// step is how far apart points are, in seconds, so that a chart of some width has them
// about two pixels apart.
export function step(start, end, width = 800) {
  const nice = [5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600];
  const least = (end - start) / Math.max(50, width / 2);
  return nice.find((n) => n >= least) ?? nice.at(-1);
}
