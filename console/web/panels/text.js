// Markdown text. Ports in it are adapted to the port offset of the lab.

import { get } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { withPortOffset } from "../lib/lab.js";
import { markdown } from "../lib/markdown.js";
import { copyable } from "../lib/ui.js";

let offsetRequest = null; // the port offset, requested once for all panels

async function portOffset() {
  offsetRequest ??= get("/-/lab").then((lab) => lab.status.port_offset ?? 0).catch(() => {
    offsetRequest = null; // the lab is down; the next panel retries
    return 0;
  });
  return offsetRequest;
}

export function create(body, env) {
  const { content = "", mode = "markdown" } = env.panel.options ?? {};
  const stop = new AbortController();
  function put(text) {
    const box = h("div", { class: "markdown" }, mode === "code" ? h("pre", null, h("code", null, text)) : markdown(text));
    for (const pre of mode === "code" ? [] : box.querySelectorAll("pre")) pre.replaceWith(copyable(pre.textContent));
    body.replaceChildren(box);
  }
  let offset = 0;
  const ready = /127\.0\.0\.1:|go run/.test(content) ? portOffset() : Promise.resolve(0);
  ready.then((by) => {
    offset = by;
    if (by && !stop.signal.aborted) put(withPortOffset(content, by));
  });
  return {
    draw() {
      put(withPortOffset(content, offset));
      return content.trim() ? "ok" : "empty";
    },
    destroy: () => stop.abort(),
  };
}
