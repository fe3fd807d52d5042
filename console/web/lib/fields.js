// The configuration of a series: the defaults of its panel, and what overrides say.

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

// matches reports whether an override is for a field {name, refId}.
export function matches(matcher, field) {
  switch (matcher.id) {
    case "byName": return field.name === matcher.options;
    case "byRegexp": return regexp(matcher.options).test(field.name);
    case "byFrameRefID": return field.refId === matcher.options;
    default: return false;
  }
}

// fieldConfig returns what holds for a field.
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

// steps returns the thresholds as [{value, color}], the first from -∞. Percentages are of
// the way from min to max.
export function steps(config, min = 0, max = 100) {
  const t = config.thresholds;
  if (!t?.steps?.length) return [{ value: -Infinity, color: "green" }];
  return t.steps.map((s, i) => {
    const value = i === 0 || s.value === null || s.value === undefined ? -Infinity : s.value;
    return { color: s.color, value: t.mode === "percentage" && Number.isFinite(value) ? min + (value / 100) * (max - min) : value };
  });
}

// reached returns the threshold a value has come to.
export const reached = (config, value, min, max) => steps(config, min, max).findLast((s) => value >= s.value) ?? steps(config, min, max)[0];

// fieldColour is what a series is drawn in. The i-th of a panel; value is its last.
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

// show writes a value as its configuration wants it.
export function show(config, value) {
  const m = mapped(config, value);
  if (m?.text) return m.text;
  if (value === null || value === undefined) return config.noValue ?? "–";
  return written(value, config.unit, config.decimals ?? null);
}

// written is a value in its unit.
export function written(value, unit, decimals = null) {
  if (decimals === null && unit === "none") return Math.abs(value) < 1000 ? digits(value) : String(Math.round(value));
  return withUnit(value, unit, decimals);
}

// valueColour is what one value is shown in, by its mapping or thresholds.
export function valueColour(config, value, i = 0, name = "", min = config.min ?? 0, max = config.max ?? 100) {
  const m = mapped(config, value);
  if (m?.color) return colour(m.color);
  const mode = config.color?.mode ?? "thresholds";
  if (mode !== "thresholds") return fieldColour(config, i, name, value);
  return colour(reached(config, value ?? -Infinity, min, max).color);
}

// tidy takes zeros off the end of a number that a label need not have.
export const tidy = (text) => text.replace(/(\d)\.0+(?=\D|$)/, "$1").replace(/(\.\d*?[1-9])0+(?=\D|$)/, "$1");

// ticks writes the labels of an axis, each different from the others.
export function ticks(values, unit, decimals = null) {
  const texts = values.map((v) => (v === null ? "" : tidy(withUnit(v, unit, decimals))));
  const seen = texts.filter(Boolean);
  if (new Set(seen).size === seen.length) return texts;
  const more = values.map((v) => (v === null ? "" : tidy(withUnit(v, unit, 2))));
  return new Set(more.filter(Boolean)).size === seen.length ? more : values.map((v) => (v === null ? "" : String(Number(v.toPrecision(6)))));
}
