"use strict";
// Scales, ticks and number formats.

// digits formats a number with three significant digits, or all of an integer's.
function digits(v) {
  if (v === 0) return "0";
  const decimals = 2 - Math.floor(Math.log10(Math.abs(v)) + 1e-9);
  return v.toFixed(Math.min(Math.max(decimals, 0), 6));
}

const ms = v => v == null ? "" : digits(v) + " ms";

// plain formats a tick without trailing zeros.
const plain = v => String(+v.toPrecision(6));

const marks = { few: [1], some: [1, 2, 5], many: [1, 1.5, 2, 3, 4, 5, 7] };

// ends of a log scale lie on marks.
function logEnds(min, max) {
  if (!(min > 0)) return [1, 10];
  const all = logTicks(min / 10, max * 10, marks.some);
  return [all.filter(v => v <= min * 1.0001).pop(), all.find(v => v >= max * 0.9999 && v > min * 1.0001)];
}

function logTicks(min, max, list) {
  const ticks = [];
  for (let e = Math.floor(Math.log10(min)) - 1; e <= Math.ceil(Math.log10(max)); e++) {
    for (const m of list) {
      const v = +(m * 10 ** e).toPrecision(3);
      if (v >= min * 0.9999 && v <= max * 1.0001) ticks.push(v);
    }
  }
  return ticks;
}

// logSplits returns ticks, more of them on a short scale.
function logSplits(min, max) {
  const decades = Math.log10(max / min);
  return logTicks(min, max, decades > 2.7 ? marks.few : decades > 0.8 ? marks.some : marks.many);
}

// clock formats a time since the start: in seconds, or as min:s on a long axis.
function clock(long) {
  if (!long) return plain;
  return v => Math.floor(v / 60) + ":" + String(Math.floor(v % 60)).padStart(2, "0");
}

const ticksOfTime = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400];

// css reads a colour of the theme.
const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

// blend returns the colour at t, from 0 to 1, of a list of colours.
function blend(list, t) {
  const at = Math.min(Math.max(t, 0), 1) * (list.length - 1), n = Math.min(Math.floor(at), list.length - 2);
  const part = (c, k) => parseInt(c.slice(1 + 2 * k, 3 + 2 * k), 16);
  return "rgb(" + [0, 1, 2].map(k => Math.round(part(list[n], k) + (at - n) * (part(list[n + 1], k) - part(list[n], k)))) + ")";
}
