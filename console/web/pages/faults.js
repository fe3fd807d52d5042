// Faults of the services: what each does, and switches for them.

import { h } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { change, control } from "../lib/control.js";
import { describe, join, linksOf, split } from "../lib/faultkinds.js";
import { badge, commands, platform, startHint } from "../lib/lab.js";
import { copyable, empty, every, problem } from "../lib/ui.js";

export async function show(root, { signal, title }) {
  title("Faults");
  const body = h("div");
  root.append(h("div", { class: "head" }, h("h1", null, "Faults"), h("span", { class: "sub" }, "delays, errors and contention that you inject into the services")), body);
  if (platform()) {
    body.append(empty("The console cannot reach the fault settings of services in containers. Commands for them are under Next steps on the home page, and a banner shows active faults with the commands that clear them."));
    return;
  }
  let shown = "", rows = [];
  const update = async () => {
    const [now, may] = await Promise.all([get("/-/faults/settings", signal), control(signal)]);
    if (!signal.aborted) render(now, may);
  };
  // Rows stay while their services have the same kinds: an input that somebody edits is not replaced.
  const render = (now, may) => {
    const shape = JSON.stringify([now.exercise, may, now.services.map((s) => [s.service, s.kinds, s.hidden, s.error])]);
    if (shape !== shown) {
      shown = shape;
      rows = [];
      body.replaceChildren(...content(now, may, (s, kind) => {
        const row = faultRow(s, kind, may.allowed, signal, (next) => render(next, may));
        rows.push(row);
        return row.element;
      }));
    }
    for (const row of rows) row.update(now.services.find((s) => s.service === row.service)?.faults ?? []);
  };
  try {
    await update();
  } catch (error) {
    if (!signal.aborted) body.replaceChildren(problem(error.message));
  }
  every(3000, signal, () => update().catch((error) => {
    if (signal.aborted) return;
    shown = "";
    body.replaceChildren(problem(error.message));
  }));
}

function content(now, may, row) {
  if (now.exercise || now.services.some((s) => s.hidden)) {
    return [h("div", { class: "empty" }, h("p", null, now.exercise ? `The exercise ${now.exercise} is active.` : "An exercise is active.", " It controls the faults, and this page does not show them. To end it:"), copyable(commands(0, now.folder).endExercise))];
  }
  if (!now.services.length) return [empty(`No service with faults is running. ${startHint()}.`)];
  return [!may.allowed && h("p", { class: "warning" }, may.reason),
    h("p", { class: "note intro" }, "Faults are off when a service starts. They end when it stops, and nothing stores them. Active ones are logged, have a metric, and are the attribute ", h("code", null, "soundcheck.fault"), " of the spans that they affect."),
    ...now.services.map((s) => h("section", { class: "card faultlist", "aria-label": s.service }, h("h2", null, s.service),
      s.error ? problem(`Its faults are unknown: ${s.error}`) : s.kinds.map((kind) => row(s, kind))))].filter(Boolean);
}

// faultRow is the form of one fault: {service, element, update(faults)}.
function faultRow(service, kind, allowed, signal, render) {
  const d = describe(kind), id = `fault-${service.service}-${kind}`;
  const error = h("p", { class: "fielderror", id: `${id}-error`, role: "alert" });
  const inputs = d.parameters.map((p) => h("input", { class: "mono", value: p.example, size: 7, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-error`, disabled: !allowed }));
  const state = h("span"), on = h("button", { type: "submit", disabled: !allowed }, "Turn on"), off = h("button", { type: "button", disabled: !allowed, hidden: true }, "Turn off");
  let active = null;
  const mark = (text) => {
    error.textContent = text;
    for (const i of inputs) text ? i.setAttribute("aria-invalid", "true") : i.removeAttribute("aria-invalid");
  };
  const send = async (value) => {
    for (const b of [on, off]) b.disabled = true;
    try {
      render(await change("PUT", "/-/faults", { service: service.service, kind, value }, signal));
      mark("");
    } catch (e) {
      if (!signal.aborted) mark(e.message);
    } finally {
      for (const b of [on, off]) b.disabled = !allowed;
    }
  };
  off.addEventListener("click", async () => {
    await send("");
    if (off.hidden) on.focus(); // the focus was on a button that is gone
  });
  const form = h("form", { class: "faultform", novalidate: true, onsubmit: (e) => {
    e.preventDefault();
    const values = inputs.map((input) => input.value.trim());
    if (values[0]) return send(join(values));
    mark(`${d.parameters[0].name} is missing`); // an empty value would turn the fault off
    inputs[0].focus();
  } },
  d.parameters.map((p, i) => h("label", { class: "field" }, h("span", null, p.name, p.optional ? " (optional)" : ""), inputs[i], h("span", { class: "hint" }, p.hint))),
  h("div", { class: "faultbuttons" }, on, off));
  const element = h("div", { class: "fault", role: "group", "aria-label": `${d.title} (${kind})` },
    h("div", { class: "faulttext" }, h("h3", null, d.title, " ", h("code", null, kind), " ", state), h("p", { class: "note" }, d.effect),
      h("p", { class: "note shows" }, "Shows in ", linksOf(service.service, kind).map(([href, text], i) => [i > 0 && ", ", h("a", { href }, text)]))),
    h("div", null, form, error));
  return { service: service.service, element, update(faults) {
    const now = faults.find((f) => f.startsWith(`${kind}=`)) ?? null;
    if (now === active) return;
    active = now;
    state.replaceChildren(...(now ? [badge(`on: ${now.slice(kind.length + 1)}`, "warn")] : []));
    element.classList.toggle("on", Boolean(now));
    on.textContent = now ? "Change" : "Turn on";
    off.hidden = !now;
    const values = now ? split(now) : [];
    if (now) inputs.forEach((input, i) => (input.value = values[i] ?? ""));
  } };
}
