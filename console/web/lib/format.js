// Formats numbers, times and sizes for people.

const short = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]];

// digits formats a number with about n significant digits, without trailing zeros.
export function digits(value, n = 3) {
  if (value === 0) return "0";
  const before = Math.floor(Math.log10(Math.abs(value))) + 1;
  return String(Number(value.toFixed(Math.min(6, Math.max(0, n - Math.max(before, -3))))));
}

function scaled(value, steps, n) {
  for (const [size, suffix] of steps) if (Math.abs(value) >= size * 0.9995) return digits(value / size, n) + suffix;
  return digits(value, n);
}

// seconds formats a duration, as in "1.24 ms" or "3 min 5 s".
export function seconds(value, n = 3) {
  const a = Math.abs(value);
  if (a === 0) return "0 s";
  if (a < 0.9995e-6) return `${digits(value * 1e9, n)} ns`;
  if (a < 0.9995e-3) return `${digits(value * 1e6, n)} µs`;
  if (a < 0.9995) return `${digits(value * 1e3, n)} ms`;
  if (a < 60) return `${digits(value, n)} s`;
  const rounded = Math.round(a), sign = value < 0 ? "-" : "";
  const [d, hours, min, sec] = [Math.floor(rounded / 86400), Math.floor(rounded / 3600) % 24, Math.floor(rounded / 60) % 60, rounded % 60];
  if (d) return `${sign}${d} d${hours ? ` ${hours} h` : ""}`;
  if (hours) return `${sign}${hours} h${min ? ` ${min} min` : ""}`;
  return `${sign}${min} min${sec ? ` ${sec} s` : ""}`;
}

const bytesSteps = [[2 ** 40, " TiB"], [2 ** 30, " GiB"], [2 ** 20, " MiB"], [2 ** 10, " KiB"]];

// bytes formats a size in KiB, MiB, …: decimal units appear only if a dashboard sets them.
export const bytes = (value, n = 3) => {
  const text = scaled(value, bytesSteps, n);
  return /[A-Z]iB$/.test(text) ? text : `${text} B`;
};

function decimalBytes(value) {
  const text = scaled(value, short, 3);
  return /[a-z]$/i.test(text) ? `${text}B` : `${text} B`;
}

// withUnit formats a value in one of Grafana's units.
export function withUnit(value, unit = "short", decimals = null) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const fixed = (v) => (decimals === null ? digits(v) : v.toFixed(decimals));
  switch (unit) {
    case "s": return seconds(value);
    case "ms": return seconds(value / 1e3);
    case "µs": return seconds(value / 1e6);
    case "ns": return seconds(value / 1e9);
    case "percentunit": return `${fixed(value * 100)} %`;
    case "percent": return `${fixed(value)} %`;
    case "bytes": return bytes(value);
    case "decbytes": return decimalBytes(value);
    case "binBps": return `${bytes(value)}/s`;
    case "Bps": return `${decimalBytes(value)}/s`;
    case "reqps": return `${scaled(value, short, 3)} req/s`;
    case "ops": case "cps": return `${scaled(value, short, 3)}/s`;
    case "wps": return `${scaled(value, short, 3)} writes/s`;
    case "none": return decimals === null ? String(Number(value.toPrecision(6))) : value.toFixed(decimals);
    case "dateTimeAsIso": case "dateTimeFromNow": return dateTime(value);
    default: return decimals !== null && Math.abs(value) < 1000 ? value.toFixed(decimals) : scaled(value, short, 3).trim();
  }
}

// plural formats a count with its noun, as in "1 span" or "2 spans".
export const plural = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

const two = (n) => String(n).padStart(2, "0");

// clock formats milliseconds since the epoch as a local time of day.
export function clock(ms, millis = false) {
  const d = new Date(ms);
  const text = `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
  return millis ? `${text}.${String(d.getMilliseconds()).padStart(3, "0")}` : text;
}

// dateTime formats milliseconds since the epoch as a local date and time.
export function dateTime(ms, millis = false) {
  const d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(ms, millis)}`;
}

// ago formats the time since a point in time, as in "5 s ago".
export function ago(ms, now = Date.now()) {
  const s = (now - ms) / 1e3;
  return s < 1 ? "just now" : `${seconds(Math.round(s))} ago`;
}
