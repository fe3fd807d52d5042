// Log lines of all components. Filters are in the URL; Follow adds new lines.

import { h, clear } from "../lib/dom.js";
import { get, address } from "../lib/api.js";
import { problem, empty, select, field, every } from "../lib/ui.js";
import { startHint } from "../lib/lab.js";
import { dateTime, plural } from "../lib/format.js";
import { describe, length, ranges } from "../lib/range.js";
import { days, line, rove } from "../lib/logline.js";

const maxLines = 1000; // lines shown while following

export async function show(root, { query, signal, setQuery, title }) {
  title("Logs");
  const f = { service: query.getAll("service"), level: query.get("level") ?? "", q: query.get("q") ?? "", trace: query.get("trace") ?? "",
    since: query.get("since") ?? "", until: query.get("until") ?? "" };
  let follow = query.get("follow") === "1" && !f.until;
  let newest = "", oldest = "", latest = 0;

  const chips = h("fieldset", { class: "chips" }, h("legend", null, "Components"));
  const list = h("ol", { class: "lines", "aria-label": "Log lines, newest first" });
  const status = h("p", { class: "note", role: "status" });
  const foot = h("div", { class: "logfoot" });
  const toggle = h("button", { type: "button", "aria-pressed": String(follow) }, "Follow");
  const keys = rove(list);

  const change = (values) => {
    Object.assign(f, values);
    if (f.until && follow) setFollow(false);
    setQuery({ ...f, follow: follow ? "1" : null }, { push: true });
    return load();
  };
  const setFollow = (on) => {
    follow = on;
    toggle.setAttribute("aria-pressed", String(on));
    if (on) f.until = "";
    setQuery({ ...f, follow: on ? "1" : null });
  };
  toggle.addEventListener("click", () => {
    setFollow(!follow);
    if (follow) load();
  });

  const level = select("Level", [["", "any"], ["info", "info and above"], ["warn", "warn and above"], ["error", "error"]], f.level, (value) => change({ level: value }));
  const q = field("Text", { type: "search", value: f.q, placeholder: "text in the line", onchange: (e) => change({ q: e.target.value }) });
  const trace = field("Trace", { type: "search", value: f.trace, placeholder: "trace id", spellcheck: "false", onchange: (e) => change({ trace: e.target.value.trim() }) });
  const preset = ranges.find(([v]) => v === f.since || length(v) === length(f.since))?.[0];
  const custom = f.since && !preset || f.until;
  const when = select("Time", [["", "any"], ...ranges.map(([v, text]) => [v, `last ${text}`]), ...(custom ? [["custom", between(f)]] : [])], custom ? "custom" : preset ?? "",
    (value) => value !== "custom" && change({ since: value, until: "" }));
  level.classList.add("half");
  when.classList.add("half");
  q.classList.add("q");
  trace.classList.add("trace");
  root.append(h("div", { class: "head" }, h("h1", null, "Logs"), status), h("div", { class: "tools logtools" }, chips, level, when, q, trace, toggle), list, foot);

  const fetchLines = (more) => get(address("/-/logs", { ...f, ...more }), signal);

  async function load() {
    const request = ++latest;
    list.setAttribute("aria-busy", "true");
    try {
      const page = await fetchLines({ limit: 200 });
      if (request !== latest || signal.aborted) return;
      newest = page.newest;
      components(page.services);
      clear(list);
      add(page.lines);
      keys.first();
      end(page);
      if (!page.lines.length) foot.prepend(emptyResult(page));
    } catch (error) {
      if (signal.aborted || request !== latest) return;
      newest = "";
      clear(list);
      clear(foot).append(problem(error.message));
    } finally {
      if (request === latest) list.removeAttribute("aria-busy");
    }
    list.hidden = !list.childElementCount;
  }

  function add(lines) {
    const parts = document.createDocumentFragment();
    for (const l of lines) parts.append(line(l));
    list.append(parts);
    days(list);
  }

  function emptyResult(page) {
    if (!page.services.length) return empty("No logs yet: components write them while the lab is up.", h("p", null, `${startHint()}.`));
    return page.reached ? empty("No match so far.") : empty("No matching lines.", h("p", null, "Extend the time range, select a lower level, or remove filters."));
  }

  // end shows the buttons and notes below the last line.
  function end(page) {
    oldest = page.more ? page.oldest : "";
    clear(foot);
    const count = list.querySelectorAll(".open").length;
    status.textContent = count ? `${plural(count, "line")}${page.more ? ", older lines available" : ""}` : "";
    if (oldest) {
      const older = h("button", { type: "button" }, page.reached ? "Search further back" : "Older lines");
      older.addEventListener("click", () => loadOlder(older));
      foot.append(older);
    }
    if (page.reached) foot.append(h("span", { class: "note" }, `The logs are large: the search stopped at ${dateTime(Date.parse(page.reached))}.`));
  }

  async function loadOlder(button) {
    const request = latest;
    button.disabled = true;
    try {
      const page = await fetchLines({ limit: 200, before: oldest });
      if (request !== latest || signal.aborted) return;
      const had = list.querySelectorAll(".open").length;
      add(page.lines);
      list.hidden = !list.childElementCount;
      end(page);
      if (!page.lines.length && page.more) foot.append(h("span", { class: "note" }, "No match."));
      (list.querySelectorAll(".open")[had] ?? foot.querySelector("button"))?.focus({ preventScroll: true });
    } catch (error) {
      if (signal.aborted) return;
      button.disabled = false;
      foot.append(problem(error.message));
    }
  }

  async function loadNewer() {
    if (!follow || !newest) return;
    const request = latest, page = await fetchLines({ limit: 200, after: newest });
    if (request !== latest || !follow || signal.aborted) return;
    newest = page.newest;
    if (!page.lines.length) return;
    const had = list.querySelectorAll(".open").length;
    foot.querySelector(".empty")?.remove();
    list.hidden = false;
    if (page.more) list.prepend(h("li", { class: "line divider" }, "Some new lines are not shown."));
    for (const l of page.lines.toReversed()) {
      const element = line(l);
      element.classList.add("fresh");
      list.prepend(element);
    }
    days(list);
    while (list.childElementCount > maxLines) {
      list.lastElementChild.remove();
      clear(foot);
    }
    if (!list.contains(document.activeElement)) keys.first();
    status.textContent = `${plural(Math.min(maxLines, had + page.lines.length), "line")}, new lines on top`;
  }

  function components(services) {
    const all = [...new Set([...services, ...f.service])];
    if (chips.dataset.all === all.join() && chips.dataset.on === f.service.join()) return;
    Object.assign(chips.dataset, { all: all.join(), on: f.service.join() });
    const focus = document.activeElement?.closest?.(".chip")?.textContent;
    chips.replaceChildren(chips.firstChild, ...all.map((name) => h("label", { class: "chip" }, h("input", { type: "checkbox", checked: f.service.includes(name),
      onchange: (e) => change({ service: e.target.checked ? [...f.service, name] : f.service.filter((s) => s !== name) }) }), name)));
    if (focus) [...chips.querySelectorAll(".chip")].find((c) => c.textContent === focus)?.firstChild.focus();
  }

  await load();
  every(2000, signal, loadNewer);
}

// between formats a time range that is not a preset.
function between({ since, until }) {
  const text = (v) => (/^\d+$/.test(v) ? dateTime(Number(v)) : v);
  const relative = since && describe(since, until || "now");
  if (relative) return relative;
  if (since && until) return `${text(since)} to ${text(until)}`;
  return since ? `since ${text(since)}` : `until ${text(until)}`;
}
