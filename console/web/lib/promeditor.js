// An input for a PromQL query with completion: a combobox with a list (ARIA APG, "list autocomplete with
// manual selection"). It is an editable element instead of a textarea, because a textarea may not have the
// role combobox, and an input has one line only.

import { clear, h } from "./dom.js";
import { typesOver } from "./promql.js";

const maxShown = 200;
let ids = 0;

// editor makes the input. complete(text, at, explicit) resolves to {from, to, options, more, title} or null, with
// options {name, insert, back, kind, note, again}: insert is the text, back the characters by which the
// cursor moves back after it, again opens the next list. run is called on Enter, changed on every
// change. It returns {element, value, set, mark, focus}.
export function editor({ text = "", label, complete, run, changed, signal }) {
  const id = `promql-${++ids}`;
  const box = h("div", { class: "promql", role: "combobox", contenteditable: "plaintext-only", tabindex: "0", spellcheck: "false", autocapitalize: "off", autocorrect: "off", enterkeyhint: "go",
    "aria-label": label, "aria-autocomplete": "list", "aria-haspopup": "listbox", "aria-expanded": "false", "aria-controls": `${id}-list`, "data-placeholder": "PromQL, as in up" });
  const list = h("ul", { role: "listbox", id: `${id}-list`, "aria-label": "Completions" });
  const foot = h("p", { class: "keys" });
  const popup = h("div", { class: "completions", hidden: true }, list, foot);
  const count = h("span", { class: "visually-hidden", role: "status" });
  const element = h("div", { class: "editor" }, box, popup, count);
  let found = null, active = -1, request = 0, highlight = null;
  box.textContent = text;

  const value = () => box.textContent.replace(/\u00a0/g, " ");
  // at returns the offset of the cursor in the text.
  const at = () => {
    const selection = document.getSelection();
    if (!selection.rangeCount || !box.contains(selection.focusNode)) return value().length;
    const range = document.createRange();
    range.setStart(box, 0);
    range.setEnd(selection.focusNode, selection.focusOffset);
    return range.toString().length;
  };
  // place returns the node and offset of an offset in the text.
  const place = (offset) => {
    const walker = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
    let node;
    while ((node = walker.nextNode())) {
      if (offset <= node.length) return [node, offset];
      offset -= node.length;
    }
    return [box, box.childNodes.length];
  };
  const select = (from, to) => document.getSelection().setBaseAndExtent(...place(from), ...place(to));

  const close = () => {
    request++;
    found = null;
    active = -1;
    popup.hidden = true;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
    count.textContent = "";
  };
  const activate = (i) => {
    const items = [...list.children];
    items[active]?.setAttribute("aria-selected", "false");
    active = i;
    items[i]?.setAttribute("aria-selected", "true");
    items[i]?.scrollIntoView({ block: "nearest" });
    if (i < 0) box.removeAttribute("aria-activedescendant");
    else box.setAttribute("aria-activedescendant", items[i].id);
  };
  const accept = (i) => {
    const option = found.options[i], { from, to } = found;
    close();
    select(from, to);
    document.execCommand("insertText", false, option.insert); // keeps the undo history
    if (option.back) {
      const here = at() - option.back;
      select(here, here);
    }
    if (option.again) open(false);
  };

  async function open(explicit) {
    const mine = ++request;
    let result;
    try {
      result = await complete(value(), at(), explicit);
    } catch (error) {
      if (!signal.aborted) console.warn(error);
      result = null;
    }
    if (mine !== request || document.activeElement !== box) return;
    if (!result?.options.length) return close();
    found = { ...result, options: result.options.slice(0, maxShown) };
    active = -1;
    box.removeAttribute("aria-activedescendant");
    clear(list).append(...found.options.map((o, i) => h("li", { role: "option", id: `${id}-${i}`, "aria-selected": "false",
      onmousedown: (e) => e.preventDefault(), onclick: () => accept(i) },
    h("span", { class: "name" }, o.name), o.kind && h("span", { class: "kind" }, o.kind), o.note && h("span", { class: "what" }, o.note))));
    const more = result.options.length - found.options.length;
    clear(foot).append(`${more > 0 ? `${more} more: type a part of the name. ` : ""}↑↓ select · Tab insert · Esc close`);
    count.textContent = `${result.options.length} completions`;
    popup.hidden = false;
    popup.scrollTop = list.scrollTop = 0;
    box.setAttribute("aria-expanded", "true");
    put(found.from);
  }

  // put moves the list below the word, within the page.
  function put(from) {
    const range = document.createRange(), outer = element.getBoundingClientRect();
    range.setStart(...place(from));
    const caret = range.getClientRects()[0] ?? box.getBoundingClientRect();
    const left = Math.max(0, Math.min(caret.left - outer.left - 8, outer.width - popup.offsetWidth));
    popup.style.left = `${left}px`;
    popup.style.top = `${(caret.bottom || outer.bottom) - outer.top + 10}px`;
  }

  const unmark = () => {
    if (highlight) CSS.highlights?.get("promql-error")?.delete(highlight);
    highlight = null;
  };

  box.addEventListener("input", () => {
    unmark();
    if (!value().trim()) box.textContent = ""; // else a line break stays
    changed?.(value());
    open(false);
  });
  box.addEventListener("keydown", (e) => {
    if (e.isComposing) return;
    const shown = found !== null, last = (found?.options.length ?? 0) - 1;
    const stop = () => e.preventDefault();
    if (e.key === " " && e.ctrlKey || e.key === "ArrowDown" && e.altKey) stop(), open(true);
    else if (shown && e.key === "ArrowDown") stop(), activate(active >= last ? 0 : active + 1);
    else if (shown && e.key === "ArrowUp") stop(), activate(active <= 0 ? last : active - 1);
    else if (shown && e.key === "PageDown") stop(), activate(Math.min(last, active + 8));
    else if (shown && e.key === "PageUp") stop(), activate(Math.max(0, active - 8));
    else if (shown && e.key === "Escape") stop(), e.stopPropagation(), close();
    else if (shown && e.key === "Tab" && !e.shiftKey) stop(), accept(Math.max(0, active));
    else if (shown && e.key === "Enter" && active >= 0 && !e.ctrlKey && !e.metaKey) stop(), accept(active);
    else if (e.key === "Enter" && !e.shiftKey) stop(), close(), run();
    else if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(e.key)) close();
  });
  // Only Shift+Enter breaks a line. Some keyboards on screens send no key event for Enter.
  let enter = null;
  box.addEventListener("keydown", (e) => (enter = e.key === "Enter" ? (e.shiftKey ? "line" : "run") : null), true);
  box.addEventListener("keyup", () => (enter = null));
  box.addEventListener("beforeinput", (e) => {
    if (e.inputType === "insertText" && document.getSelection().isCollapsed && typesOver(value(), at(), e.data)) {
      e.preventDefault();
      close();
      select(at() + 1, at() + 1);
      return;
    }
    if (!/^insert(?:Paragraph|LineBreak)$/.test(e.inputType) || enter === "line") return;
    e.preventDefault();
    if (enter !== "run") {
      close();
      run();
    }
  });
  box.addEventListener("blur", close);
  box.addEventListener("click", () => {
    if (!value()) open(true);
    else close();
  });

  return {
    element, value: () => value().trim(),
    set(next) {
      close();
      unmark();
      box.textContent = next;
    },
    // mark underlines the text from an offset of value() to the end of its word.
    mark(offset) {
      unmark();
      if (!globalThis.Highlight) return;
      const all = value(), from = offset + all.length - all.trimStart().length, length = /^(?:[\w:]+|.)/.exec(all.slice(from))?.[0].length ?? 0;
      highlight = document.createRange();
      highlight.setStart(...place(Math.min(from, Math.max(0, all.length - 1))));
      highlight.setEnd(...place(Math.max(from + length, 1)));
      if (!CSS.highlights.has("promql-error")) CSS.highlights.set("promql-error", new Highlight());
      CSS.highlights.get("promql-error").add(highlight);
    },
    unmark,
    focus() {
      box.focus();
      const end = value().length;
      select(end, end);
    },
  };
}
