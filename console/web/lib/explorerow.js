// One query of the Explore page: its input, and what Prometheus says about it.

import { h } from "./dom.js";
import { editor } from "./promeditor.js";
import { positions } from "./promql.js";
import { moreText } from "./exploreview.js";

// worded returns the text of a message without its position, and with it in words.
function worded(message, text) {
  const [place] = positions(message, text);
  const plain = message.replace(/^invalid parameter "query": /, "").replace(/^(\d+:\d+): /, "").replace(/ \(\d+:\d+\)$/, "");
  return { place, text: place ? `Line ${place.line}, column ${place.column}: ${plain}` : plain };
}

// queryRow makes the row of a query {expr, hidden}. on has run(), remove(row), hide(row) and apply(row, expr).
export function queryRow({ expr, hidden }, complete, signal, on) {
  const notes = h("div", { class: "notes" });
  const input = editor({ text: expr, label: "PromQL query", complete, run: () => on.run(), signal });
  const toggle = h("button", { type: "button", class: "letter" });
  const remove = h("button", { type: "button", class: "quiet icon remove", "aria-label": "Remove query", title: "Remove query", onclick: () => on.remove(row) }, "×");
  const element = h("div", { class: "query-row", role: "group" }, toggle, h("div", { class: "query-main" }, input.element, notes), remove);
  const row = {
    element, hidden, notes,
    expr: input.value, focus: input.focus, set: input.set,
    name(letter) {
      row.letter = letter;
      toggle.textContent = letter;
      element.setAttribute("aria-label", `Query ${letter}`);
      element.querySelector('[role="combobox"]').setAttribute("aria-label", `PromQL query ${letter}`);
      toggle.setAttribute("aria-pressed", String(!row.hidden));
      toggle.setAttribute("aria-label", `Query ${letter} shown`);
      toggle.title = row.hidden ? `Show query ${letter}` : `Hide query ${letter}`;
      element.classList.toggle("off", row.hidden);
      remove.setAttribute("aria-label", `Remove query ${letter}`);
    },
    // busy clears the notes of an earlier run.
    busy() {
      input.unmark();
      element.setAttribute("aria-busy", "true");
    },
    idle: () => {
      element.removeAttribute("aria-busy");
      notes.replaceChildren();
    },
    failed(message) {
      const { place, text } = worded(message, input.value());
      if (place) input.mark(place.from);
      element.removeAttribute("aria-busy");
      notes.replaceChildren(h("p", { class: "problem", role: "alert" }, text));
    },
    done(result) {
      element.removeAttribute("aria-busy");
      const messages = (list, kind) => list.map((m) => {
        const { place, text } = worded(m.replace(/^PromQL (?:info|warning): /, ""), input.value());
        if (place) input.mark(place.from);
        return h("p", { class: `message ${kind}` }, h("span", { class: `badge ${kind === "warning" ? "warn" : ""}` }, kind), " ", text);
      });
      const hints = result.hints;
      notes.replaceChildren(...messages(result.warnings, "warning"), ...messages(result.infos, "info"),
        h("p", { class: "note summary" }, result.text !== null ? "a string" : moreText(result),
          hints.length > 0 && h("span", { class: "hints" }, hints.map((hint) => [hint.text && h("span", null, hint.text),
            hint.expr && h("button", { type: "button", title: hint.expr, onclick: () => on.apply(row, hint.expr) }, hint.label)]))));
    },
  };
  toggle.addEventListener("click", () => {
    row.hidden = !row.hidden;
    on.hide(row);
  });
  return row;
}
