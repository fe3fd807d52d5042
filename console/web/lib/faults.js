// Active faults: the banner above every page, and its button to clear them.

import { get } from "./api.js";
import { h } from "./dom.js";
import { commands } from "./lab.js";
import { copyable, every } from "./ui.js";

// clearFaults clears all faults of all services, and returns the remaining state: see banner.
export const clearFaults = (signal) => get("/-/faults", signal, "DELETE");

// banner returns the element for {services: [{service, faults, error, containers}], clear},
// or null without active faults. The faults of a service with an error are unknown. onclear
// is called by the button.
export function banner({ services, clear }, offset, onclear) {
  const on = services.filter((s) => s.faults.length || s.error), count = on.flatMap((s) => s.faults).length;
  if (!on.length) return null;
  const cmd = commands(offset);
  const names = on.map((s, i) => [i ? "; " : "", h("strong", null, s.service), " ", s.error ? `unknown: ${s.error}` : h("code", null, s.faults.join(" "))]);
  return h("div", { class: "faults", role: "status" }, h("p", null, ["Faults: ", "Active fault: "][count] ?? "Active faults: ", names),
    clear ? h("button", { type: "button", onclick: onclear }, "Clear all faults")
      : on.flatMap((s) => s.containers ?? []).flatMap((name) => [cmd.forward(name), cmd.clearFaults(name)]).filter(Boolean).map(copyable));
}

// watchFaults keeps the banner in an element up to date.
export function watchFaults(element) {
  const signal = new AbortController().signal;
  let shown = "";
  const show = (state) => {
    const now = JSON.stringify(state);
    if (now === shown) return;
    shown = now;
    const content = banner(state, state.port_offset ?? 0, async (e) => {
      e.target.disabled = true;
      try {
        show(await clearFaults(signal));
      } catch (error) {
        e.target.disabled = false;
        e.target.parentNode.querySelector(".note")?.remove(); // of the previous click
        e.target.after(h("p", { class: "note" }, error.message));
      }
    });
    element.replaceChildren(...(content ? [content] : []));
  };
  const poll = async () => show(await get("/-/faults", signal));
  poll().catch(() => {}); // each page reports what is unavailable to it
  every(5000, signal, () => poll().catch(() => {}));
}
