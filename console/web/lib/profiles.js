// CPU profiles that loadgen -profile has stored, and links to their flame graphs.

import { h } from "./dom.js";
import { address, get } from "./api.js";
import { clock, plural } from "./format.js";
import { card } from "./ui.js";

// flameGraph returns the URL of a profile's flame graph, focused on a label: ["route", "GET /albums/:id"].
export const flameGraph = (p, [label, value] = []) => address(`/-/pprof/${encodeURIComponent(p.run)}/${encodeURIComponent(p.name)}/flamegraph`,
  { tf: label && `${label}=^${value.replace(/[.*+?^${}()|[\]\\,:]/g, (c) => (c === "," || c === ":" ? "." : `\\${c}`))}$` });

const link = (href, text) => h("a", { href, target: "_blank", rel: "noopener" }, text);

// runProfiles returns a card with the profiles of a run, or null.
export async function runProfiles(id, signal) {
  const { profiles } = await get(`/-/runs/${encodeURIComponent(id)}/profiles`, signal);
  if (!profiles.length) return null;
  const services = [...new Set(profiles.map((p) => p.service))];
  return card("CPU profiles", services.map((s) => [h("h3", null, s), h("p", { class: "profilelist" }, profiles.filter((p) => p.service === s).map((p) =>
    link(flameGraph(p), `${clock(Date.parse(p.start))}, ${p.seconds} s`)))]),
  h("p", { class: "note" }, "Flame graphs by pprof. Focus on a route or a trace with its labels: a span of a trace of this run links to them."));
}

// routeOf returns the route of the server span that a span belongs to.
function routeOf(span) {
  for (let s = span; s && s.service === span.service; s = s.parent) {
    const tag = (key) => s.tags.find((t) => t.key === key)?.value;
    if (s.kind === "server" && tag("http.route")) return `${tag("http.request.method")} ${tag("http.route")}`;
  }
  return "";
}

// spanProfiles returns an element that looks for profiles of a span's process and time when it is opened.
export function spanProfiles(trace, span) {
  const body = h("div", { class: "note" }, "loading …"), route = routeOf(span);
  return h("details", { class: "profilelinks", ontoggle: async (e) => {
    if (!e.target.open) return;
    try {
      // Times are microseconds; the profile covers milliseconds.
      const { profiles } = await get(address("/-/profiles", { service: span.service, from: Math.floor(span.start / 1e3), to: Math.ceil((span.start + span.duration) / 1e3), trace: trace.id, route }));
      if (!profiles.length) {
        body.replaceChildren(`No CPU profile of ${span.service} covers this span. `, h("code", null, "loadgen -profile"), " takes them during a run.");
        return;
      }
      body.replaceChildren(h("ul", { class: "plain" }, profiles.map((p) => h("li", null, link(flameGraph(p), `CPU profile ${clock(Date.parse(p.start))}, ${p.seconds} s`), ` (${plural(p.samples.all, "sample")})`,
        p.samples.route ? [", ", link(flameGraph(p, ["route", route]), `only ${route}`), ` (${p.samples.route})`] : "",
        p.samples.trace ? [", ", link(flameGraph(p, ["trace_id", trace.id]), "only this trace"), ` (${p.samples.trace})`] : "; none is of this trace"))),
      h("p", null, "A sample is 10 ms of CPU time: most requests use less. Time that a span waits is not in a CPU profile."));
    } catch (error) {
      body.replaceChildren(error.message);
    }
  } }, h("summary", null, "CPU profile at that time"), body);
}
