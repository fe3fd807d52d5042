// /traces/file: the traces of a file, without Jaeger. The server reads the file and stores nothing.

import { h, clear } from "../lib/dom.js";
import { readFile } from "../lib/api.js";
import { bytes, dateTime, plural, seconds } from "../lib/format.js";
import { problem, table } from "../lib/ui.js";
import { build } from "../lib/trace.js";
import { showTrace } from "../lib/traceview.js";

// maxFile is the server's limit (console/traces/file.go).
const maxFile = 32 * 2 ** 20;

// opened is the last file, {name, traces, skipped}, until the document is left.
let opened = null;

export async function show(root, ctx) {
  delete root.dataset.loaded; // of the previous page
  ctx.title("Trace file");
  const input = h("input", { type: "file", accept: ".json,.jsonl,.ndjson,application/json", onchange: () => input.files[0] && open(input.files[0]),
    onclick: () => (input.value = "") }); // so that the same file can be chosen again, after a change
  const status = h("div", { role: "status", class: "file-status" });
  const result = h("div");
  const drop = h("label", { class: "file-drop" }, h("strong", null, "Choose a trace file, or drop it here"), input,
    h("span", { class: "note" }, `Jaeger JSON, OTLP JSON, or the lines of the Collector's file exporter. Up to ${bytes(maxFile)}. Nothing is stored, and Jaeger is not needed.`));
  const over = (on) => (e) => {
    e.preventDefault();
    drop.classList.toggle("over", on);
  };
  drop.addEventListener("dragover", over(true));
  drop.addEventListener("dragleave", over(false));
  drop.addEventListener("drop", (e) => {
    over(false)(e);
    if (e.dataTransfer.files[0]) open(e.dataTransfer.files[0]);
  });

  let reading = new AbortController();
  async function open(file) {
    reading.abort(); // of another file
    const { signal } = (reading = new AbortController());
    clear(result);
    try {
      if (file.size > maxFile) throw new Error(`the file has ${bytes(file.size)}, the limit is ${bytes(maxFile)}`);
      clear(status).append(h("p", { class: "note" }, `Reading ${file.name}, ${bytes(file.size)} …`));
      const found = await readFile(file, AbortSignal.any([signal, ctx.signal]));
      opened = { name: file.name, ...found };
      history.replaceState(null, "", location.pathname);
      ctx.setQuery({ trace: null, view: null, sort: null, service: null, operation: null });
      draw(null, new URLSearchParams());
    } catch (error) {
      if (signal.aborted || ctx.signal.aborted) return;
      opened = null;
      clear(status).append(problem(`${file.name}: ${error.message}.`));
    }
  }

  // draw shows the list of traces, or the trace with an id.
  function draw(id, query) {
    clear(result);
    const one = opened.traces.length === 1 ? opened.traces[0] : opened.traces.find((t) => t.summary.id === id);
    const skipped = opened.skipped ? `, ${plural(opened.skipped, "line")} with logs or metrics skipped` : "";
    clear(status).append(h("p", { class: "note" }, `${opened.name}: ${plural(opened.traces.length, "trace")}${skipped}. `, one && opened.traces.length > 1 && h("a", { href: "/traces/file" }, "All traces of the file")));
    if (!one) {
      result.append(traces(opened.traces));
      return;
    }
    showTrace(result, { ...ctx, query }, Object.assign(build(one.trace, one.critical), { file: opened.name }));
  }

  root.append(h("div", { class: "head" }, h("h1", null, "Trace file"), h("a", { href: "/traces" }, "Search traces")), drop, status, result);
  if (opened) draw(ctx.query.get("trace"), ctx.query);
  else if (ctx.query.get("trace") || location.hash) status.append(h("p", { class: "note" }, "The file is not stored: choose it again."));
  root.dataset.loaded = "true";
}

function traces(list) {
  return h("section", { class: "card" }, table([{ name: "Trace" }, { name: "Duration", number: true }, { name: "Spans", number: true }, { name: "Errors", number: true }, { name: "Start" }],
    list.map(({ summary: t }) => [h("a", { href: `/traces/file?trace=${t.id}` }, h("strong", null, t.service), " ", t.name, " ", h("code", null, `…${t.id.slice(-7)}`)), seconds(t.duration / 1e6), String(t.spans), String(t.errors), dateTime(t.start / 1000, true)]),
    { caption: "Traces of the file" }));
}
