// /trace/ID: a trace; /trace/ID?compare=ID2: the comparison of two traces.

import { h } from "../lib/dom.js";
import { oneTrace } from "../lib/api.js";
import { empty, problem } from "../lib/ui.js";
import { build } from "../lib/trace.js";
import { traceID } from "../lib/tracequery.js";
import { compare } from "../lib/tracecompare.js";
import { showTrace } from "../lib/traceview.js";

export async function show(root, ctx) {
  delete root.dataset.loaded; // of the previous page
  delete root.dataset.logs;
  const id = traceID(ctx.params.id);
  ctx.title(`Trace ${(id ?? ctx.params.id).slice(0, 7)}`);
  const other = ctx.query.get("compare");
  const ids = other === null ? [ctx.params.id] : [ctx.params.id, other];
  const loaded = await Promise.all(ids.map((i) => load(i, ctx.signal)));
  if (ctx.signal.aborted) return;
  const missing = loaded.find((l) => l.element);
  if (missing) root.append(h("h1", null, other === null ? "Trace" : "Trace comparison"), missing.element);
  else if (other !== null) compare(root, loaded[0].trace, loaded[1].trace);
  else showTrace(root, ctx, loaded[0].trace);
  root.dataset.loaded = "true";
}

// load returns {trace}, or an {element} with the reason why there is none.
async function load(text, signal) {
  const id = traceID(text);
  if (!id) return { element: problem(`${JSON.stringify(text)} is not a trace id: use up to 32 hexadecimal digits.`, h("a", { href: "/traces" }, "Search traces")) };
  try {
    const page = await oneTrace(id, signal);
    const trace = build(page.trace, page.critical);
    if (trace.spans.length) return { trace };
  } catch (error) {
    if (!/not found/i.test(error.message)) return { element: problem(error.message) };
  }
  return { element: empty("Trace not found in Jaeger.",
    h("p", { class: "mono" }, id),
    h("p", null, "Spans are exported in batches, some seconds after they end: retry soon. Traces that were not sampled, or are older than Jaeger's retention, are not available."),
    h("p", null, h("button", { type: "button", onclick: () => location.reload() }, "Retry"), " ", h("a", { href: "/traces" }, "Search traces"))) };
}
