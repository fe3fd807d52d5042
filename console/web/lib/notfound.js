// The page for URLs that do not exist.

import { h } from "./dom.js";

// notFound fills root with a title, a text and links to existing pages: [href, text, note].
export function notFound(root, title, text, links) {
  root.append(h("section", { class: "notfound" }, h("h1", null, title), h("p", { class: "sub" }, text),
    h("ul", { class: "plain links" }, links.map(([href, name, note]) => h("li", null, h("a", { href }, name), note && h("span", { class: "note" }, ` ${note}`))))));
}

// pages are the links of the page for an unknown path.
export const pages = [["/", "Home", "components, throughput, alerts"], ["/dashboards", "Dashboards"], ["/explore", "Explore", "PromQL queries"], ["/traces", "Traces"], ["/logs", "Logs"], ["/runs", "Runs", "load tests by loadgen"], ["/map", "Map", "calls between services"], ["/faults", "Faults", "delays, errors and contention to inject"]];
