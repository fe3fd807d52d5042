// Grafana's colour names, mapped to the colours of the current theme.

import { css } from "./theme.js";

let cache = new Map();
document.addEventListener("theme", () => (cache = new Map()));

// prop returns a colour of the theme, cached because reading computed styles is slow.
export function prop(name) {
  if (!cache.has(name)) cache.set(name, css(name));
  return cache.get(name);
}

const named = { blue: "c1", orange: "c2", green: "c3", purple: "c4", pink: "c5", cyan: "c6", yellow: "c7", gray: "c8", grey: "c8", red: "bad", text: "ink", white: "card", black: "ink" };

// rgb parses #rgb or #rrggbb.
export function rgb(hex) {
  const full = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, "$&$&") : hex;
  return [1, 3, 5].map((i) => parseInt(full.slice(i, i + 2), 16));
}

const hex2 = (v) => Math.round(v).toString(16).padStart(2, "0");

// mix interpolates between two colours: share 0 is a, 1 is b.
export function mix(a, b, share) {
  const [x, y] = [rgb(a), rgb(b)];
  return `#${x.map((v, i) => hex2(v + (y[i] - v) * share)).join("")}`;
}

// alpha adds an opacity to a colour.
export const alpha = (hex, opacity) => (hex.startsWith("#") ? `#${rgb(hex).map(hex2).join("")}${hex2(Math.min(1, Math.max(0, opacity)) * 255)}` : hex);

// colour returns a colour by Grafana's name, as in "green" or "semi-dark-red". Hex colours are
// returned unchanged.
export function colour(name) {
  if (!name) return prop("c1");
  if (name.startsWith("#")) return name;
  if (name === "transparent") return "#00000000";
  const [, shade, base] = /^(super-light-|light-|semi-dark-|dark-)?(\w+)$/.exec(name) ?? [];
  if (!named[base]) return prop("c8");
  const plain = prop(named[base]);
  const share = { "super-light-": 0.55, "light-": 0.35, "semi-dark-": 0, "dark-": 0.3 }[shade] ?? 0;
  return mix(plain, prop(shade?.endsWith("light-") ? "card" : "ink"), share);
}

// palette returns the i-th series colour, different from its neighbours.
export function palette(i) {
  const round = Math.floor(i / 8) % 3;
  const plain = prop(`c${(i % 8) + 1}`);
  return round === 0 ? plain : mix(plain, prop(round === 1 ? "ink" : "card"), 0.35);
}

// byName returns a palette colour that depends only on the name.
export function byName(name) {
  let hash = 5381;
  for (const c of name) hash = (hash * 33 + c.codePointAt(0)) >>> 0;
  return palette(hash % 24);
}

// heat returns the heat map colour of a share from 0 to 1.
export function heat(share) {
  const at = Math.min(2.9999, Math.max(0, share) * 3), i = Math.floor(at);
  return mix(prop(`heat${i}`), prop(`heat${i + 1}`), at - i);
}
