// The controls of a dashboard: variables, time range, refresh.

import { clear, h } from "./dom.js";
import { dateTime } from "./format.js";
import { describe, length, ranges } from "./range.js";
import { every, select } from "./ui.js";
import { ALL } from "./vars.js";

const refreshes = [["", "off"], ["5s", "5 s"], ["10s", "10 s"], ["30s", "30 s"], ["1m", "1 min"]];

// dropdown is a button that opens a box. It closes on Escape and on a click elsewhere.
export function dropdown(label, signal, fill) {
  const text = h("span", { class: "chosen" });
  const box = h("div", { class: "choices" });
  const details = h("details", { class: "dropdown" }, h("summary", { "aria-label": label }, text), box);
  details.addEventListener("toggle", () => {
    if (details.open) fill(box);
  });
  details.addEventListener("keydown", (e) => {
    if (e.key !== "Escape" || !details.open) return;
    e.stopPropagation();
    details.open = false;
    details.querySelector("summary").focus();
  });
  document.addEventListener("pointerdown", (e) => {
    if (!details.contains(e.target)) details.open = false;
  }, { signal });
  return {
    details, box,
    element: h("div", { class: "field" }, h("span", null, label), details),
    setText(value) {
      text.textContent = value;
      details.querySelector("summary").setAttribute("aria-label", `${label}: ${value}`);
    },
  };
}

// summary is the text for selected values.
export const summary = (chosen) => (chosen.includes(ALL) ? "All" : chosen.length === 0 ? "none" : chosen.length > 2 ? `${chosen[0]} and ${chosen.length - 1} more` : chosen.join(", "));

// after returns the selected values after one is switched on or off.
export function after(chosen, value, on, { multi, includeAll }) {
  if (value === ALL) return on ? [ALL] : chosen;
  if (!multi) return [value];
  const next = chosen.filter((v) => v !== ALL && v !== value).concat(on ? [value] : []);
  return next.length === 0 && includeAll ? [ALL] : next;
}

// variable is the drop-down of one variable. options() resolves to its values.
export function variable(def, signal, { chosen, options, changed }) {
  let timer = 0, filter = "";
  const box = dropdown(def.label, signal, async (into) => {
    let values;
    try {
      values = await options();
    } catch (error) {
      clear(into).append(h("p", { class: "note" }, error.message));
      return;
    }
    const list = h("div", { class: "list", role: "group", "aria-label": def.label });
    const render = () => {
      const now = chosen();
      const extra = now.filter((v) => v !== ALL && !values.includes(v));
      const entry = (value, text, note) => h("label", null,
        h("input", { type: def.multi ? "checkbox" : "radio", name: `var-${def.name}`, value, checked: now.includes(value), onchange: (e) => {
          changed.set(after(chosen(), value, e.target.checked, def));
          render();
          box.setText(summary(chosen()));
          list.querySelector(`[value="${CSS.escape(value)}"]`)?.focus();
          clearTimeout(timer);
          timer = setTimeout(changed.apply, 300); // several ticks are one change
        } }), h("span", null, text), note && h("span", { class: "note" }, note));
      clear(list).append(...[def.includeAll && entry(ALL, "All"), ...extra.map((v) => entry(v, v, "not in this range")),
        ...values.filter((v) => v.toLowerCase().includes(filter)).map((v) => entry(v, v))].filter(Boolean));
      if (values.length === 0 && extra.length === 0) list.append(h("p", { class: "note" }, "No values in this range."));
    };
    filter = "";
    clear(into).append(...[values.length > 10 && h("input", { type: "search", placeholder: "Find", "aria-label": `Find ${def.label}`, oninput: (e) => {
      filter = e.target.value.trim().toLowerCase();
      render();
    } }), list].filter(Boolean));
    render();
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
  box.setText(summary(chosen()));
  if (def.description) box.element.title = def.description;
  return { element: box.element, update: () => box.setText(summary(chosen())) };
}

const local = (seconds) => dateTime(seconds * 1e3).replace(" ", "T");

// timeRange is the time range picker: presets, or from and to. now() returns the current range
// {from, to, start, end}; set(from, to) changes it.
export function timeRange(signal, now, set) {
  const box = dropdown("Time", signal, (into) => {
    const { from, to, start, end } = now();
    const close = () => {
      box.details.open = false;
      box.details.querySelector("summary").focus();
    };
    const error = h("p", { class: "note warn", role: "alert" });
    const a = h("input", { type: "datetime-local", step: "1", value: local(start) }), b = h("input", { type: "datetime-local", step: "1", value: local(end) });
    clear(into).append(
      h("div", { class: "presets" }, ranges.map(([value, text]) => h("button", { type: "button", "aria-pressed": String(to === "now" && length(from) === length(value)), onclick: () => {
        close();
        set(value, "now");
      } }, text))),
      h("form", { class: "between", onsubmit: (e) => {
        e.preventDefault();
        const [x, y] = [Date.parse(a.value), Date.parse(b.value)];
        if (!(x < y)) {
          error.textContent = "From must be before To.";
          return;
        }
        close();
        set(String(x), String(y));
      } }, h("label", { class: "field" }, h("span", null, "From"), a), h("label", { class: "field" }, h("span", null, "To"), b), h("button", { class: "primary" }, "Apply"), error));
  });
  const update = () => {
    const { from, to, start, end } = now();
    const day = (s) => dateTime(s * 1e3).slice(0, 10);
    const last = dateTime(end * 1e3);
    box.setText(describe(from, to) ?? `${dateTime(start * 1e3)} to ${day(start) === day(end) ? last.slice(11) : last}`);
  };
  update();
  return { element: box.element, update };
}

// refresher is the choice of the refresh interval, at which work is called until signal aborts. pause stops
// it while the range does not end now.
export function refresher(value, signal, work, changed) {
  if (!refreshes.some(([v]) => v === value)) value = "";
  let ticking = new AbortController(), paused = false;
  const tick = (v) => {
    ticking.abort();
    ticking = new AbortController();
    if (v) every(length(`now-${v}`) * 1e3, AbortSignal.any([ticking.signal, signal]), () => (paused ? null : work()));
  };
  const element = select("Refresh", refreshes, value, (v) => {
    changed(v);
    tick(v);
  });
  tick(value);
  return {
    element,
    pause(on) {
      paused = on;
      element.querySelector("select").disabled = on;
      element.firstChild.textContent = on ? "Refresh: paused" : "Refresh";
      element.title = on ? "The range does not end now, so its data does not change." : "";
    },
  };
}
