import { h } from "../lib/dom.js";

export function show(root) {
  root.append(h("h1", null, "Soundcheck"));
}
