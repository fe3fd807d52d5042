// Text in Markdown.

import { h } from "../lib/dom.js";
import { markdown } from "../lib/markdown.js";

export function create(body, env) {
  const { content = "", mode = "markdown" } = env.panel.options ?? {};
  return {
    draw() {
      body.replaceChildren(h("div", { class: "markdown" }, mode === "code" ? h("pre", null, h("code", null, content)) : markdown(content)));
      return content.trim() ? "ok" : "empty";
    },
    destroy() {},
  };
}
