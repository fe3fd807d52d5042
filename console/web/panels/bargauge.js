// Values as horizontal bars with their names.

import { h } from "../lib/dom.js";
import { shareOf } from "./gauge.js";
import { allEmpty, valuesOf } from "./values.js";

export function create(body, env) {
  const box = h("div", { class: "bars", role: "list" });
  const { displayMode = "gradient", valueMode = "color", showUnfilled = true, orientation = "auto" } = env.panel.options ?? {};
  box.classList.add(displayMode);
  box.classList.toggle("upright", orientation === "vertical");
  function draw(data) {
    const list = valuesOf(env.panel, data.frames);
    if (allEmpty(list)) return "empty";
    box.replaceChildren(...list.map((v) => h("div", { class: "bar-row", role: "listitem", style: { "--share": shareOf(v.value, v.min, v.max), "--value": v.colour } },
      h("span", { class: "name", title: v.name }, v.name),
      h("span", { class: showUnfilled ? "track unfilled" : "track", "aria-hidden": "true" }, h("span", { class: "filled" })),
      valueMode !== "hidden" && h("span", { class: valueMode === "color" ? "amount coloured" : "amount" }, v.text))));
    if (!box.isConnected) body.replaceChildren(box);
    return "ok";
  }
  return { draw, destroy() {} };
}
