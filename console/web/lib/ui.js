// Components that pages share.

import { h, clear } from "./dom.js";

// problem shows an error, and what to do about it.
export function problem(text, ...more) {
  return h("div", { class: "problem", role: "alert" }, h("p", null, text), more);
}

// empty states that there is no data, and the reason.
export function empty(text, ...more) {
  return h("div", { class: "empty" }, h("p", null, text), more);
}

// card is a section of a page with a heading.
export function card(title, ...children) {
  return h("section", { class: "card" }, title && h("h2", null, title), children);
}

// tile shows one value.
export function tile(title, value, note, state) {
  return h("section", { class: `tile ${state ?? ""}` }, h("h2", null, title), h("p", { class: "value" }, value), note && h("p", { class: "note" }, note));
}

// table has columns {name, number, title} and rows of cells: text or elements.
export function table(columns, rows, { caption } = {}) {
  const kind = (i) => (columns[i].number ? "n" : null);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption ?? columns.map((c) => c.name).join(", ") },
    h("table", null,
      h("thead", null, h("tr", null, columns.map((c, i) => h("th", { scope: "col", class: kind(i), title: c.title }, c.name)))),
      h("tbody", null, rows.map((row) => h("tr", null, row.map((cell, i) => h("td", { class: kind(i) }, cell)))))));
}

// sortHeading is the heading of a column; a click sorts by it. order is ascending, descending, or null if the
// table is sorted by another column. Attributes are those of the cell.
export function sortHeading(title, order, sort, attributes) {
  return h("th", { scope: "col", "aria-sort": order, ...attributes }, h("button", { type: "button", class: "quiet", onclick: sort }, title,
    h("span", { "aria-hidden": "true" }, { ascending: " ↑", descending: " ↓" }[order] ?? "")));
}

// copyButton copies the result of text(). Its label is that of done or failed for a moment.
export function copyButton(attributes, text, { label, done, failed }) {
  const button = h("button", { type: "button", ...attributes, onclick: async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = done;
    } catch {
      button.textContent = failed;
    }
    setTimeout(() => (button.textContent = label), 1500);
  } }, label);
  return button;
}

// copyable is a command with a copy button.
export function copyable(text) {
  return h("div", { class: "command" }, h("code", null, text),
    copyButton({ class: "quiet", "aria-label": `Copy: ${text}` }, () => text, { label: "copy", done: "copied", failed: "select it by hand" }));
}

// select is a labelled drop-down: options are texts or [value, text].
export function select(label, options, value, change) {
  const element = h("select", { "aria-label": label, onchange: () => change(element.value) },
    options.map((o) => {
      const [v, text] = Array.isArray(o) ? o : [o, o];
      return h("option", { value: v, selected: v === value }, text);
    }));
  return h("label", { class: "field" }, h("span", null, label), element);
}

// field is an input with a label. Attributes are the input's.
export function field(label, attributes) {
  return h("label", { class: "field" }, h("span", null, label), h("input", attributes));
}

// busy marks an element as busy until work ends, then shows its result or its error.
export async function busy(element, signal, work) {
  element.setAttribute("aria-busy", "true");
  try {
    const result = await work();
    if (!signal.aborted) clear(element).append(...[result].flat().filter(Boolean));
  } catch (error) {
    if (!signal.aborted) clear(element).append(problem(error.message));
  } finally {
    element.removeAttribute("aria-busy");
  }
}

// every calls work periodically until signal aborts, except while the page is hidden. Calls do
// not overlap.
export function every(ms, signal, work) {
  let timer = 0;
  const next = () => {
    if (!signal.aborted) timer = setTimeout(tick, ms);
  };
  const tick = async () => {
    if (!document.hidden) {
      try {
        await work();
      } catch (error) {
        if (!signal.aborted) console.warn(error);
      }
    }
    next();
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  next();
}
