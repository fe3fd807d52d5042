// What is shown where nothing is.

import { h } from "./dom.js";

// notFound fills root: what is not there, and where to go on: links are [href, text, note].
export function notFound(root, title, text, links) {
  root.append(h("section", { class: "notfound" }, h("h1", null, title), h("p", { class: "sub" }, text),
    h("ul", { class: "plain links" }, links.map(([href, name, note]) => h("li", null, h("a", { href }, name), note && h("span", { class: "note" }, ` ${note}`))))));
}

// pages are the ways out of an address that leads nowhere.
export const pages = [["/", "Home", "components, throughput, alerts"], ["/dashboards", "Dashboards"], ["/traces", "Traces"], ["/logs", "Logs"], ["/runs", "Runs", "load tests by loadgen"], ["/map", "Map", "calls between services"]];
