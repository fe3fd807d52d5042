// The values of stat, gauge and bar gauge panels: one per series.

import { fieldConfig, show, valueColour } from "../lib/fields.js";
import { reduce } from "../lib/frames.js";

// valuesOf returns [{name, key, config, value, text, colour, values, min, max}].
export function valuesOf(panel, frames) {
  const calc = panel.options?.reduceOptions?.calcs?.[0] ?? "lastNotNull";
  const limit = panel.options?.reduceOptions?.limit ?? 50;
  const list = frames.map((frame) => {
    const config = fieldConfig(panel, frame);
    return { frame, config, value: reduce(frame.values, calc), values: frame.values };
  });
  const highest = list.reduce((m, v) => Math.max(m, v.value ?? -Infinity), -Infinity);
  return list.slice(0, limit).map(({ frame, config, value, values }, i) => {
    const name = config.displayName || frame.name;
    const unitMax = { percent: 100, percentunit: 1 }[config.unit];
    const min = config.min ?? 0, max = config.max ?? unitMax ?? (Number.isFinite(highest) && highest > min ? highest : min + 1);
    return { name, key: `${frame.refId} ${frame.name}`, config, value, values, min, max, text: show(config, value), colour: valueColour(config, value, i, name, min, max) };
  });
}

// noneOf reports whether no series has a value, a mapping for null or a noValue text.
export const allEmpty = (list) => list.length === 0 || list.every((v) => v.value === null && v.config.noValue === undefined && v.text === "–");
