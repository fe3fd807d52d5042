// The run history, with a selection of two runs to compare.

import { h } from "../lib/dom.js";
import { get } from "../lib/api.js";
import { problem, every } from "../lib/ui.js";
import { withUnit, seconds, dateTime } from "../lib/format.js";
import { lossBadge, shares, verdictBadge, commands, noRuns, age, platform } from "../lib/lab.js";

export async function show(root, { signal, title, go }) {
  title("Runs");
  const chosen = new Set();
  const button = h("button", { type: "button", class: "primary", disabled: true }, "Compare");
  const hint = h("p", { class: "note", role: "status" });
  const body = h("div");
  let list = [];
  root.append(h("div", { class: "head" }, h("h1", null, "Runs"), h("span", { class: "sub" }, "load tests by loadgen, newest first")),
    h("div", { class: "tools runtools" }, button, hint, !platform() && h("a", { class: "primary", href: "/runs/new" }, "New load test")), body);
  const updateHint = () => {
    button.disabled = chosen.size !== 2;
    hint.textContent = ["Select two runs to compare.", "Select one more run.", "The older run is the baseline.", "Only two runs can be compared."][Math.min(3, chosen.size)];
  };
  button.addEventListener("click", () => {
    const [b, a] = list.filter((r) => chosen.has(r.id)).map((r) => r.id); // the list has the newest first
    go(`/runs/compare?${new URLSearchParams({ a, b })}`);
  });
  updateHint();
  let shown = "";
  const load = async () => {
    const answer = await get("/-/runs", signal);
    if (signal.aborted) return;
    list = answer.runs;
    if (!list.length) {
      const lab = await get("/-/lab", signal).catch(() => null);
      body.replaceChildren(noRuns("No runs yet. Run a load test:", commands(lab?.status?.port_offset, answer.folder.replace(/\/runs$/, "")).load));
      return;
    }
    const now = JSON.stringify(list.map((r) => [r, age(r.started_at)]));
    if (now === shown) return;
    const focus = body.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    shown = now;
    body.replaceChildren(tableOf(list, chosen, updateHint));
    if (focus) [...body.querySelectorAll("[data-key]")].find((e) => e.dataset.key === focus)?.focus({ preventScroll: true });
  };
  try {
    await load();
  } catch (error) {
    if (!signal.aborted) body.append(problem(error.message));
  }
  every(5000, signal, load);
}

const columns = ["", "Run", "Started", "Target", "Plan", "Actual rate", "p50", "p99", "Served", "Verdict"];

function tableOf(list, chosen, updateHint) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Runs" }, h("table", { class: "runlist" },
    h("thead", null, h("tr", null, columns.map((c, i) => h("th", { scope: "col", class: i > 4 && i < 9 && "n" }, c)))),
    h("tbody", null, list.map((r) => row(r, chosen, updateHint)))));
}

function row(r, chosen, updateHint) {
  const usable = r.finished && r.verdict !== "unreadable", served = (r.classes?.good ?? 0) + (r.classes?.late ?? 0);
  const box = usable && h("input", { type: "checkbox", checked: chosen.has(r.id), dataset: { key: `box ${r.id}` }, "aria-label": `Compare ${r.id}`,
    onchange: (e) => {
      if (e.target.checked) chosen.add(r.id);
      else chosen.delete(r.id);
      updateHint();
    } });
  const number = (value) => (usable ? value : "");
  const cell = (i, value, kind) => h("td", { class: kind, "data-name": columns[i] }, value);
  return h("tr", null, cell(0, box, "pick"),
    h("th", { scope: "row" }, usable || r.target ? h("a", { href: `/runs/${encodeURIComponent(r.id)}`, class: "mono", dataset: { key: r.id } }, r.id) : h("span", { class: "mono" }, r.id), r.name && h("div", { class: "note runname" }, r.name)),
    cell(2, r.started_at ? h("span", { title: dateTime(Date.parse(r.started_at)) }, `${age(r.started_at)} ago`) : "–"),
    cell(3, r.target?.replace("http://", "") ?? "", "mono"), cell(4, r.plan ?? "", "plan"),
    cell(5, number(r.rate_target ? [withUnit(r.rate_actual, "reqps"), Math.abs(r.rate_actual / r.rate_target - 1) > 0.005 && h("div", { class: "note" }, `of ${withUnit(r.rate_target, "reqps")}`)] : withUnit(r.rate_actual, "reqps")), "n"),
    cell(6, number(seconds(r.p50 ?? 0)), "n"), cell(7, number(seconds(r.p99 ?? 0)), "n"),
    cell(8, number(shares(served, Object.values(r.classes ?? {}).reduce((a, b) => a + b, 0))[0]), "n"),
    cell(9, [verdictBadge(r), " ", lossBadge(r), h("div", { class: "note reason" }, r.verdict === "unfinished" ? "interrupted" : r.verdict === "good" ? "" : r.because ?? r.problem)], "verdict"));
}
