// Log lines, and keyboard navigation in their list.

import { h } from "./dom.js";
import { clock, dateTime } from "./format.js";

const states = { warn: "warn", error: "bad" };
const prefixes = /^(http\.request\.|http\.response\.|http\.|url\.|service\.)/;
const brief = 9; // attributes that fit on a line

// textOf formats an attribute's value.
const textOf = (value) => (typeof value === "string" ? value : JSON.stringify(value));

// line returns the element of a line. Its details are created when it is opened.
export function line(l, { tab = -1 } = {}) {
  const ms = l.time ? Date.parse(l.time) : null;
  const fields = l.fields ?? [];
  const open = h("button", { type: "button", class: "open", "aria-expanded": "false", tabindex: tab },
    h("time", { title: ms === null ? "time unknown" : dateTime(ms, true) }, ms === null ? "–" : clock(ms, true)),
    h("span", { class: `badge level ${states[l.level] ?? ""}` }, l.level ?? "text"),
    h("span", { class: "service" }, l.service),
    h("span", { class: "message" }, l.message,
      fields.length > 0 && h("span", { class: "rest" }, fields.slice(0, brief).map((f) => `${f.name.replace(prefixes, "")}=${textOf(f.value)}`).join(" "))));
  const item = h("li", { class: `line ${l.level === "warn" || l.level === "error" ? l.level : ""} ${l.text ? "text" : ""}` },
    h("div", { class: "row" }, open,
      l.trace_id && h("a", { class: "to", href: `/trace/${encodeURIComponent(l.trace_id)}`, tabindex: tab, title: `Trace ${l.trace_id}`, "aria-label": `Trace ${l.trace_id}` }, `…${l.trace_id.slice(-8)}`)));
  if (ms !== null) item.dataset.day = dateTime(ms).slice(0, 10);
  open.addEventListener("click", () => {
    const expanded = open.getAttribute("aria-expanded") === "true";
    open.setAttribute("aria-expanded", String(!expanded));
    if (expanded) item.lastChild.remove();
    else item.append(detail(l, ms));
  });
  return item;
}

function detail(l, ms) {
  const around = ms !== null && `/logs?since=${ms - 2000}&until=${ms + 2000}`;
  const properties = [["time", l.time && `${dateTime(ms, true)} (${l.time})`], ["level", l.level], ["service", l.service], ["trace_id", l.trace_id], ["span_id", l.span_id]]
    .filter(([, value]) => value).concat((l.fields ?? []).map((f) => [f.name, textOf(f.value)]));
  return h("div", { class: "detail" },
    h("pre", null, l.message),
    h("dl", null, properties.map(([name, value]) => [h("dt", null, name), h("dd", null, value)])),
    h("p", { class: "links" },
      l.trace_id && h("a", { href: `/trace/${encodeURIComponent(l.trace_id)}` }, "Trace"),
      l.trace_id && h("a", { href: `/logs?trace=${encodeURIComponent(l.trace_id)}` }, "All log lines of the trace"),
      around && h("a", { href: around }, "All components at that time"),
      around && h("a", { href: `${around}&service=${encodeURIComponent(l.service)}` }, `${l.service} at that time`)));
}

// days inserts the date between lines of different days, and above the first line unless it
// is from today.
export function days(list, now = Date.now()) {
  for (const e of list.querySelectorAll(".day")) e.remove();
  let day = dateTime(now).slice(0, 10);
  for (const e of [...list.querySelectorAll("[data-day]")]) {
    if (e.dataset.day !== day) e.before(h("li", { class: "line divider day" }, e.dataset.day));
    day = e.dataset.day;
  }
}

// rove makes the list a single tab stop; arrows, Home and End move between lines.
export function rove(list) {
  const lines = () => [...list.querySelectorAll(".open")];
  const settle = (open) => {
    for (const e of list.querySelectorAll('[tabindex="0"]')) e.tabIndex = -1;
    for (const e of open.closest(".row").querySelectorAll("[tabindex]")) e.tabIndex = 0;
  };
  list.addEventListener("keydown", (e) => {
    const step = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity }[e.key];
    const here = e.target.closest(".line")?.querySelector(".open");
    if (!step || !here || e.altKey || e.ctrlKey || e.metaKey) return;
    const all = lines(), to = all[Math.min(all.length - 1, Math.max(0, all.indexOf(here) + step))];
    e.preventDefault();
    settle(to);
    to.focus();
  });
  list.addEventListener("focusin", (e) => {
    const open = e.target.closest(".row")?.querySelector(".open");
    if (open) settle(open);
  });
  return { first: () => lines()[0] && settle(lines()[0]) };
}
