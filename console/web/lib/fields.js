// The configuration of a series: the defaults and overrides of its panel.

import { digits, withUnit } from "./format.js";
import { byName, colour, palette } from "./colours.js";

const regexp = (text) => {
  const m = /^\/(.*)\/([a-z]*)$/s.exec(text);
  try {
    return m ? new RegExp(m[1], m[2]) : new RegExp(`^(?:${text})$`);
  } catch {
    return /$^/; // matches nothing
  }
};

// matches reports whether an override applies to a field {name, refId}.
export function matches(matcher, field) {
  switch (matcher.id) {
    case "byName": return field.name === matcher.options;
    case "byRegexp": return regexp(matcher.options).test(field.name);
    case "byFrameRefID": return field.refId === matcher.options;
    default: return false;
  }
}

// fieldConfig returns the configuration of a field.
export function fieldConfig(panel, field) {
  const { defaults = {}, overrides = [] } = panel.fieldConfig ?? {};
  const config = { ...defaults, custom: { ...defaults.custom } };
  for (const o of overrides) {
    if (!matches(o.matcher, field)) continue;
    for (const p of o.properties) {
      if (p.id.startsWith("custom.")) setPath(config.custom, p.id.slice(7).split("."), p.value);
      else config[p.id] = p.value;
    }
  }
  if (config.displayName) config.displayName = config.displayName.replace(/\$\{__field\.labels\.(\w+)\}/g, (_, n) => (Object.hasOwn(field.labels ?? {}, n) ? field.labels[n] : ""));
  return config;
}

function setPath(into, [first, ...rest], value) {
  if (rest.length === 0) into[first] = value;
  else setPath((into[first] = { ...into[first] }), rest, value);
}

// steps returns the thresholds as [{value, color}], the first from -∞. Percentages are
// relative to the range from min to max.
export function steps(config, min = 0, max = 100) {
  const t = config.thresholds;
  if (!t?.steps?.length) return [{ value: -Infinity, color: "green" }];
  return t.steps.map((s, i) => {
    const value = i === 0 || s.value === null || s.value === undefined ? -Infinity : s.value;
    return { color: s.color, value: t.mode === "percentage" && Number.isFinite(value) ? min + (value / 100) * (max - min) : value };
  });
}

// reached returns the highest threshold that a value has reached.
export const reached = (config, value, min, max) => steps(config, min, max).findLast((s) => value >= s.value) ?? steps(config, min, max)[0];

// fieldColour returns the colour of the i-th series of a panel; value is its last value.
export function fieldColour(config, i, name, value) {
  const { mode = "palette-classic", fixedColor } = config.color ?? {};
  switch (mode) {
    case "fixed": return colour(fixedColor);
    case "thresholds": return colour(reached(config, value ?? -Infinity, config.min ?? 0, config.max ?? 100).color);
    case "palette-classic-by-name": return byName(name);
    default: return palette(i);
  }
}

// mapped returns the mapping {text, color} that a value has, or null.
export function mapped(config, value) {
  for (const m of config.mappings ?? []) {
    const o = m.options;
    if (m.type === "value" && value !== null && Object.hasOwn(o, String(value))) return o[String(value)];
    if (m.type === "range" && value !== null && value >= (o.from ?? -Infinity) && value <= (o.to ?? Infinity)) return o.result;
    if (m.type === "special" && value === null && /^null|^empty$/.test(o.match)) return o.result;
  }
  return null;
}

// show formats a value by its configuration.
export function show(config, value) {
  const m = mapped(config, value);
  if (m?.text) return m.text;
  if (value === null || value === undefined) return config.noValue ?? "–";
  return written(value, config.unit, config.decimals ?? null);
}

// written formats a value in its unit.
export function written(value, unit, decimals = null) {
  if (decimals === null && unit === "none") return Math.abs(value) < 1000 ? digits(value) : String(Math.round(value));
  return withUnit(value, unit, decimals);
}

// valueColour returns the colour of a value, by its mapping or thresholds.
export function valueColour(config, value, i = 0, name = "", min = config.min ?? 0, max = config.max ?? 100) {
  const m = mapped(config, value);
  if (m?.color) return colour(m.color);
  const mode = config.color?.mode ?? "thresholds";
  if (mode !== "thresholds") return fieldColour(config, i, name, value);
  return colour(reached(config, value ?? -Infinity, min, max).color);
}

// tidy removes trailing zeros of a number in a label.
export const tidy = (text) => text.replace(/(\d)\.0+(?=\D|$)/, "$1").replace(/(\.\d*?[1-9])0+(?=\D|$)/, "$1");

// ticks returns distinct labels for an axis.
export function ticks(values, unit, decimals = null) {
  const texts = values.map((v) => (v === null ? "" : tidy(withUnit(v, unit, decimals))));
  const seen = texts.filter(Boolean);
  if (new Set(seen).size === seen.length) return texts;
  const more = values.map((v) => (v === null ? "" : tidy(withUnit(v, unit, 2))));
  return new Set(more.filter(Boolean)).size === seen.length ? more : values.map((v) => (v === null ? "" : String(Number(v.toPrecision(6)))));
}
