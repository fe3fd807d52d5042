// A new load test: the form, its command, and the way to the run's page.

import { h } from "../lib/dom.js";
import { address, get } from "../lib/api.js";
import { change, control } from "../lib/control.js";
import { noRuns, platform } from "../lib/lab.js";
import { copyable, every, problem } from "../lib/ui.js";
import { seconds } from "../lib/format.js";

// Groups of the form: the flags of loadgen with their labels. A model has flags of its own.
const models = [
  ["rate", "Constant rate", [["rate", "Rate", "req/s, or 30/1m", "100"], ["duration", "Duration", "100ms to 24h", "30s"], ["arrivals", "Arrivals", "", ["constant", "poisson"]]]],
  ["stages", "Stages", [["stages", "Stages", "duration@rate or duration@from..to, separated by commas", "10s@0..100,30s@100", "wide"], ["arrivals", "Arrivals", "", ["constant", "poisson"]]]],
  ["workers", "Closed model", [["workers", "Workers", "each sends its next request after a response", "16"], ["duration", "Duration", "100ms to 24h", "30s"]]],
];

export async function show(root, ctx) {
  const { signal, title, query } = ctx;
  title("New load test");
  root.append(h("div", { class: "head" }, h("h1", null, "New load test"), h("span", { class: "sub" }, "loadgen on this machine, one run at a time")));
  if (platform()) {
    root.append(noRuns("The console of a lab in containers has no load generator. Run a load test in a terminal:", "go run ./loadgen -rate 100"));
    return;
  }
  const [may, lab, last] = await Promise.all([control(signal), get("/-/lab", signal), get("/-/load", signal)]);
  const offset = lab.status?.port_offset ?? 0, at = (port) => `http://127.0.0.1:${port + offset}`;
  const fields = new Map(); // inputs with their error, by flag; a model's flags have one input per model
  const model = { now: models.some(([m]) => query.get("model") === m) ? query.get("model") : "rate" };

  const input = (name, label, hint, value, kind = "", owner = "") => {
    const id = `load-${owner}${name}`, attributes = { id, name, "aria-labelledby": `${id}-label`, "aria-describedby": `${hint ? `${id}-hint ` : ""}${id}-error`, class: name === "name" ? null : "mono", autocomplete: "off", spellcheck: "false" };
    const error = h("span", { class: "fielderror", id: `${id}-error`, role: "alert" });
    const element = Array.isArray(value) ? h("select", { ...attributes, class: null }, value.map((v) => h("option", null, v)))
      : kind.includes("multiline") ? h("textarea", { ...attributes, rows: 2 }, value) : h("input", { ...attributes, value });
    const entry = { name, owner, element, error, values: () => (kind.includes("multiline") ? element.value.split("\n").map((l) => l.trim()).filter(Boolean) : [element.value.trim()]) };
    fields.set(owner + name, entry);
    return h("label", { class: `field ${kind}` }, h("span", { id: `${id}-label` }, label), element, hint && h("span", { class: "hint", id: `${id}-hint` }, hint), error);
  };
  const sections = models.map(([id, , list]) => h("fieldset", { hidden: id !== model.now, "aria-label": id }, list.map(([name, label, hint, value, kind]) => input(name, label, hint, value, kind, id))));
  const abort = h("input", { type: "checkbox", id: "load-abort" });
  const profile = h("input", { type: "checkbox", id: "load-profile" });
  const general = h("div"), command = h("div"), start = h("button", { type: "submit", class: "primary" }, "Start"), note = h("p", { class: "note", role: "status" });
  const form = h("form", { class: "card loadform", novalidate: true },
    h("fieldset", null, input("name", "Name (optional)", "of the run, in its report", ""), input("url", "Target URL", "default: the lab's proxy", at(9070), "wide")),
    h("fieldset", null, h("legend", null, "Load"), h("div", { class: "radios" }, models.map(([id, text]) => h("label", null,
      h("input", { type: "radio", name: "model", value: id, checked: id === model.now, onchange: () => choose(id) }), text)))),
    ...sections,
    h("fieldset", null, input("mix", "Mix of scenarios", "weights of list, page, get, miss, create, update, delete, batch, stream, bad", "get=70,list=20,create=10", "wide"), input("warmup", "Warm-up", "sent, but not measured", "0s")),
    h("fieldset", null, input("slo", "SLOs", "one a line, as in p99<250ms, p99(get)<50ms or good>99.9%", "p99<100ms\ngood>99%", "wide multiline"),
      h("label", { class: "check" }, abort, "End the run as soon as an SLO is clearly violated"),
      h("label", { class: "check" }, profile, "Take CPU profiles of the proxy and the store")),
    h("div", null, h("h2", null, "Command"), command, h("p", { class: "note" }, "Other flags: run the command in a terminal. The page of the run shows its progress, too.")),
    general, h("div", { class: "actions" }, start, note));
  root.append(!may.allowed ? h("p", { class: "warning" }, may.reason) : "", form);
  start.disabled = !may.allowed;

  function choose(id) {
    model.now = id;
    sections.forEach((s, i) => (s.hidden = models[i][0] !== id));
    ctx.setQuery({ model: id === "rate" ? null : id });
    preview();
  }
  const shown = () => [...fields.values()].filter((f) => !f.owner || f.owner === model.now);
  const values = () => {
    const v = Object.fromEntries(shown().map((f) => [f.name, f.values()]).filter(([, list]) => list.some(Boolean)));
    if (model.now === "workers") v.rate = ["0"];
    if (v.warmup?.[0] === "0s") delete v.warmup;
    if (v.arrivals?.[0] === "constant") delete v.arrivals;
    if (v.url?.[0] === at(9070)) delete v.url;
    if (abort.checked) v["abort-on-slo"] = ["true"];
    if (profile.checked) v.profile = [`proxy-service=${at(9071)},album-store=${at(9081)}`];
    return v;
  };
  const mark = (text, flag) => {
    for (const f of fields.values()) {
      const mine = text && f.name === flag && shown().includes(f);
      f.error.textContent = mine ? text : "";
      mine ? f.element.setAttribute("aria-invalid", "true") : f.element.removeAttribute("aria-invalid");
      if (mine) f.element.focus();
    }
    general.replaceChildren(...(text && !shown().some((f) => f.name === flag) ? [problem(text)] : []));
  };
  let timer = 0, newest = 0;
  function preview() {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = ++newest;
      try {
        const { command: text } = await get(address("/-/load/command", values()), signal);
        if (mine === newest) command.replaceChildren(copyable(text));
      } catch (error) {
        if (mine === newest && !signal.aborted) command.replaceChildren(h("p", { class: "note" }, error.message));
      }
    }, 150);
  }
  form.addEventListener("input", preview);
  preview();

  // follow shows the start of a run, and goes to its page.
  let following = false;
  const follow = async () => {
    const st = await get("/-/load", signal);
    const busy = !["idle", "ended"].includes(st.state);
    start.disabled = busy || !may.allowed;
    if (st.run && (following || busy)) {
      if (following) ctx.go(`/runs/${encodeURIComponent(st.run)}`);
      else note.replaceChildren("A load test is running: ", h("a", { href: `/runs/${encodeURIComponent(st.run)}` }, st.run));
      return;
    }
    note.textContent = { building: `Building loadgen${st.packages ? `: ${st.packages_built ?? 0} of ${st.packages} packages` : ""}, ${seconds(Math.round((Date.now() - Date.parse(st.started_at)) / 1e3))}`,
      starting: "Starting: loadgen checks its flags and the target" }[st.state] ?? "";
    if (busy) following = true;
    else if (following) {
      following = false;
      mark(st.error || "loadgen ended without a report", st.flag);
    }
  };
  form.addEventListener("submit", async (e) => {
    e.preventDefault();
    start.disabled = true;
    mark("");
    try {
      await change("POST", "/-/load", values(), signal);
      following = true;
      await follow();
    } catch (error) {
      if (!signal.aborted) mark(error.message);
      start.disabled = !may.allowed;
    }
  });
  if (!["idle", "ended"].includes(last.state)) await follow();
  every(400, signal, follow);
}
