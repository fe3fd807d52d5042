// A new load test: the form, its command, and the way to the run's page.

import { h } from "../lib/dom.js";
import { address, get } from "../lib/api.js";
import { change, control } from "../lib/control.js";
import { noRuns, platform } from "../lib/lab.js";
import { copyable, every, problem } from "../lib/ui.js";
import { seconds } from "../lib/format.js";

// Groups of the form: the flags of loadgen with their labels. A model has flags of its own.
const kinds = [
  ["mix", "Mix of scenarios", [["mix", "Weights", "of list, page, get, miss, create, update, delete, batch, stream, bad", "get=70,list=20,create=10", "wide"]]],
  ["flow", "Flow of users", [["flow", "Flow", "YAML file with the steps of each user. A rate is that of new users", "name: visit\nsteps:\n  - name: browse\n    get: /albums\n    extract:\n      id: {jsonpath: \"$[*].id\", select: random}\n  - name: look\n    get: /albums/{{id}}", "file"]]],
  ["targets", "Targets", [["targets", "Targets", "requests in vegeta's HTTP or JSON format, with full URLs", "GET http://127.0.0.1:8001/items\nAccept: application/json\n\nGET http://127.0.0.1:8001/items/1", "file"]]],
  ["openapi", "OpenAPI contract", [["openapi", "Contract", "OpenAPI 3.0 or 3.1, YAML or JSON. Requests are generated from it, and responses are checked", "openapi: 3.0.3\ninfo: {title: Items, version: \"1\"}\npaths: …", "file"]]],
];
const models = [
  ["rate", "Constant rate", [["rate", "Rate", "req/s, or 30/1m", "100"], ["duration", "Duration", "100ms to 24h", "30s"], ["arrivals", "Arrivals", "", ["constant", "poisson"]]]],
  ["stages", "Stages", [["stages", "Stages", "duration@rate or duration@from..to, separated by commas", "10s@0..100,30s@100", "wide"], ["arrivals", "Arrivals", "", ["constant", "poisson"]]]],
  ["workers", "Closed model", [["workers", "Workers", "each sends its next request after a response", "16"], ["users", "Users", "at once, or stages as in 30s@0..20,1m@20", "16"], ["duration", "Duration", "100ms to 24h", "30s"]]],
];

// maxText is the max length of a file: see maxText in console/load/texts.go.
const maxText = 1 << 20;

// The texts of the files are remembered in this browser.
const memory = "load-texts";

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(memory)) ?? {};
  } catch {
    return {};
  }
}

function remember(texts, name, text) {
  texts[name] = text;
  try {
    localStorage.setItem(memory, JSON.stringify(texts));
  } catch {
    // without storage, or too long for it: the page still has it
  }
}

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
  const kind = { now: kinds.some(([k]) => query.get("requests") === k) ? query.get("requests") : "mix" };
  const texts = remembered();

  const input = (name, label, hint, value, style = "", owner = "") => {
    const id = `load-${owner}${name}`, attributes = { id, name, "aria-labelledby": `${id}-label`, "aria-describedby": `${hint ? `${id}-hint ` : ""}${id}-error`, class: name === "name" ? null : "mono", autocomplete: "off", spellcheck: "false" };
    const error = h("span", { class: "fielderror", id: `${id}-error`, role: "alert" });
    if (style === "file") return fileField(name, label, hint, value, id, attributes, error);
    const element = Array.isArray(value) ? h("select", { ...attributes, class: null }, value.map((v) => h("option", null, v)))
      : style.includes("multiline") ? h("textarea", { ...attributes, rows: 2 }, value) : h("input", { ...attributes, value });
    const entry = { name, owner, element, error, values: () => (style.includes("multiline") ? element.value.split("\n").map((l) => l.trim()).filter(Boolean) : [element.value.trim()]) };
    fields.set(owner + name, entry);
    return h("label", { class: `field ${style}` }, h("span", { id: `${id}-label` }, label), element, hint && h("span", { class: "hint", id: `${id}-hint` }, hint), error);
  };
  // fileField is a text, which can be read from a file of this browser's machine.
  const fileField = (name, label, hint, example, id, attributes, error) => {
    const element = h("textarea", { ...attributes, rows: 10, wrap: "off", placeholder: example }, texts[name] ?? "");
    const file = h("input", { type: "file", "aria-label": `${label} from a file`, onchange: async () => {
      const chosen = file.files[0];
      if (!chosen) return;
      if (chosen.size > maxText) return mark(`${chosen.name} is larger than ${maxText >> 10} KiB`, name);
      try {
        element.value = new TextDecoder("utf-8", { fatal: true }).decode(await chosen.arrayBuffer());
      } catch {
        return mark(`${chosen.name} is not UTF-8 text`, name);
      }
      mark("");
      element.dispatchEvent(new Event("input", { bubbles: true }));
    }, onclick: () => (file.value = "") }); // so that the same file can be chosen again, after a change
    element.addEventListener("input", () => remember(texts, name, element.value));
    fields.set(name, { name, owner: "", element, error, values: () => [element.value.trim() ? element.value : ""] });
    return h("div", { class: "field file" }, h("label", { id: `${id}-label`, for: id }, label), element, file, h("span", { class: "hint", id: `${id}-hint` }, `${hint}. Files that it names are not read: run such a test in a terminal.`), error);
  };
  const requests = kinds.map(([id, , list]) => h("fieldset", { hidden: id !== kind.now, "aria-label": id }, list.map((f) => input(...f))));
  const sections = models.map(([id, , list]) => h("fieldset", { hidden: id !== model.now, "aria-label": id }, list.map(([name, label, hint, value, style]) => input(name, label, hint, value, style, id))));
  const abort = h("input", { type: "checkbox", id: "load-abort" });
  const profile = h("input", { type: "checkbox", id: "load-profile" });
  const stored = h("span", null, "Start writes the text to the file that the command names. ");
  const general = h("div"), command = h("div"), start = h("button", { type: "submit", class: "primary" }, "Start"), note = h("p", { class: "note", role: "status" });
  const form = h("form", { class: "card loadform", novalidate: true },
    h("fieldset", null, input("name", "Name (optional)", "of the run, in its report", ""), input("url", "Target URL", "default: the lab's proxy", at(9070), "wide")),
    h("fieldset", null, h("legend", null, "Requests"), radios("requests", kinds, kind)),
    ...requests,
    h("fieldset", null, h("legend", null, "Load"), radios("model", models, model)),
    ...sections,
    h("fieldset", null, input("warmup", "Warm-up", "sent, but not measured", "0s")),
    h("fieldset", null, input("slo", "SLOs", "one a line, as in p99<250ms, p99(get)<50ms or good>99.9%", "p99<100ms\ngood>99%", "wide multiline"),
      h("label", { class: "check" }, abort, "End the run as soon as an SLO is clearly violated"),
      h("label", { class: "check" }, profile, "Take CPU profiles of the proxy and the store")),
    h("div", null, h("h2", null, "Command"), command, h("p", { class: "note" }, stored, "Other flags: run the command in a terminal. The page of the run shows its progress, too.")),
    general, h("div", { class: "actions" }, start, note));
  root.append(!may.allowed ? h("p", { class: "warning" }, may.reason) : "", form);
  start.disabled = !may.allowed;

  function radios(name, list, now) {
    return h("div", { class: "radios" }, list.map(([id, text]) => h("label", null, h("input", { type: "radio", name, value: id, checked: id === now.now, onchange: () => {
      now.now = id;
      ctx.setQuery({ model: model.now === "rate" ? null : model.now, requests: kind.now === "mix" ? null : kind.now });
      arrange();
      preview();
    } }), text)));
  }
  const fits = (f) => (!f.owner || f.owner === model.now) && (!kinds.some(([k]) => k === f.name) || f.name === kind.now) &&
    (f.name !== "url" || kind.now !== "targets") && (f.name !== "workers" || kind.now !== "flow") && (f.name !== "users" || kind.now === "flow") &&
    (f.name !== "duration" || kind.now !== "flow" || model.now !== "workers" || !fields.get("workersusers").values()[0].includes("@")); // stages have durations
  function arrange() {
    stored.hidden = kind.now === "mix";
    kinds.forEach(([id], i) => (requests[i].hidden = id !== kind.now));
    models.forEach(([id], i) => (sections[i].hidden = id !== model.now));
    for (const f of fields.values()) if (["url", "workers", "users", "duration"].includes(f.name)) f.element.closest(".field").hidden = !fits(f);
  }
  const shown = () => [...fields.values()].filter(fits);
  const values = () => {
    const v = Object.fromEntries(shown().map((f) => [f.name, f.values()]).filter(([, list]) => list.some(Boolean)));
    if (model.now === "workers" && kind.now !== "flow") v.rate = ["0"];
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
        const { command: text } = await get(address("/-/load/command", { ...values(), ...(kind.now === "mix" ? {} : { [kind.now]: "file" }) }), signal);
        if (mine === newest) command.replaceChildren(copyable(text));
      } catch (error) {
        if (mine === newest && !signal.aborted) command.replaceChildren(h("p", { class: "note" }, error.message));
      }
    }, 150);
  }
  form.addEventListener("input", () => {
    arrange();
    preview();
  });
  arrange();
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
      const missing = fields.get(kind.now);
      if (kind.now !== "mix" && !missing.values()[0]) throw Object.assign(new Error(`-${kind.now} is empty: enter the text, or choose a file`), { flag: kind.now });
      await change("POST", "/-/load", values(), signal);
      following = true;
      await follow();
    } catch (error) {
      if (!signal.aborted) mark(error.message, error.flag);
      start.disabled = !may.allowed;
    }
  });
  if (!["idle", "ended"].includes(last.state)) await follow();
  every(400, signal, follow);
}
