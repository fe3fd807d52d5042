// The live view of a run: progress, rate, percentiles and errors, until its report is there.

import { h } from "./dom.js";
import { get } from "./api.js";
import { change } from "./control.js";
import { curve } from "./curve.js";
import { plural, seconds, withUnit } from "./format.js";
import { badge, lossBadge, shares } from "./lab.js";
import { card, copyable, every, problem, tile } from "./ui.js";

// live shows a run without a report, and calls ended when it has one. It returns false if the run has no
// progress to show.
export async function live(root, id, signal, ended) {
  const path = `/-/runs/${encodeURIComponent(id)}`;
  const ask = () => get(`${path}/progress`, signal).catch((error) => {
    if (error.status === 404) return null;
    throw error;
  });
  const first = await ask();
  if (!first) return false;
  const state = h("span"), loss = h("span"), bar = h("div", { class: "progressbar", role: "progressbar", "aria-label": "Progress of the run", "aria-valuemin": "0", "aria-valuemax": "100" }, h("div"));
  const left = h("p", { class: "note" }), tiles = h("div", { class: "tiles" }), charts = h("div", { class: "columns" }), message = h("div"), command = h("div"), hint = h("p", { class: "note" });
  const stop = h("button", { type: "button", class: "danger", hidden: true }, "Stop");
  root.replaceChildren(h("div", { class: "head" }, h("h1", { class: "mono" }, id), state, loss, first.first.name && h("span", { class: "sub" }, first.first.name)),
    h("section", { class: "card livegap" }, h("div", { class: "livehead" }, left, stop), bar, hint), message, tiles, charts, command);
  stop.addEventListener("click", async () => {
    stop.disabled = true;
    try {
      await change("DELETE", "/-/load", {}, signal);
    } catch (error) {
      stop.disabled = false;
      if (!signal.aborted) message.replaceChildren(problem(error.message));
    }
  });

  let drawn = "", ending = new AbortController();
  const draw = (list) => {
    if (list.length < 2 || list.at(-1).at === drawn) return; // of a long run the list keeps its length: only its end is read
    drawn = list.at(-1).at;
    ending.abort(); // the previous charts
    ending = new AbortController();
    const xs = list.map((p) => p.elapsed), s = AbortSignal.any([signal, ending.signal]);
    charts.replaceChildren(card("Response time of each second", curve("Response time", xs, [{ name: "p50", values: list.map((p) => p.p50 || null), colour: "c1" }, { name: "p99", values: list.map((p) => p.p99 || null), colour: "c2" }], { format: (v) => seconds(v, 2), signal: s, height: 200 })),
      card("Request rate", curve("Request rate", xs, [{ name: "actual", values: list.map((p) => p.rate_actual), colour: "c3" }].concat(list.some((p) => p.rate_target) ? [{ name: "target", values: list.map((p) => p.rate_target ?? null), colour: "c8" }] : []),
        { format: (v) => withUnit(v), signal: s, height: 200 })));
  };
  const render = (run, load) => {
    const list = run.progress, p = list.at(-1), mine = load.run === id && !["idle", "ended"].includes(load.state);
    const phase = !run.live && !mine ? "interrupted" : mine && load.state === "stopping" ? "stopping" : p.phase;
    state.replaceChildren(badge({ interrupted: "no progress", stopping: "stopping", starting: "starting", running: "running", analysing: "fetching traces" }[phase] ?? phase, phase === "interrupted" ? "bad" : ""));
    loss.replaceChildren(...[lossBadge(p)].filter(Boolean));
    stop.hidden = !mine;
    stop.disabled = !load.stuck && (stop.disabled && load.state !== "running" || load.state === "stopping");
    stop.textContent = load.stuck ? "Kill" : "Stop";
    hint.textContent = phase === "stopping" ? "" : mine ? "Stop interrupts the run: the report has the requests so far." : run.live ? "This console did not start the run: press Ctrl-C in its terminal to stop it." : "";
    const part = p.duration ? Math.min(p.elapsed / p.duration, 1) : 0;
    bar.firstChild.style.setProperty("width", `${part * 100}%`);
    bar.setAttribute("aria-valuenow", String(Math.round(part * 100)));
    left.textContent = { interrupted: "The run reports no progress: it was killed, or its machine is suspended. There is no report.",
      stopping: load.stuck ? "loadgen was interrupted, and has not ended. Kill ends it without a report." : "Stopping: loadgen writes its report", analysing: "All requests were sent. loadgen fetches traces for tail-latency attribution.",
      starting: p.starts_in ? `Starts in ${seconds(Math.round(p.starts_in))}` : "Starting" }[phase]
      ?? `${seconds(Math.round(p.elapsed))} of ${seconds(Math.round(p.duration))}, ${seconds(Math.max(0, Math.round(p.duration - p.elapsed)))} left`;
    const c = p.classes ?? {}, of = Object.values(c).reduce((a, b) => a + b, 0), lost = (c.failed ?? 0) + (c.shed ?? 0), last = list.findLast((x) => x.phase === "running") ?? p;
    tiles.replaceChildren(tile("Actual rate", withUnit(last.rate_actual, "reqps"), last.rate_target ? `of ${withUnit(last.rate_target, "reqps")} target` : "last second"),
      tile("p50", last.p50 ? seconds(last.p50) : "–", "response time, last second"), tile("p99", last.p99 ? seconds(last.p99) : "–", p.p99_all ? `${seconds(p.p99_all)} so far` : "last second"),
      tile("Requests", String(p.requests ?? 0), `${last.in_flight ?? 0} in flight`), tile("Failed and shed", String(lost), of ? `${shares(of - lost, of)[1]} of ${plural(of, "request")}` : "", lost ? "bad" : ""),
      tile("Send delay", seconds(last.send_delay ?? 0), "longest, last second; of the generator"));
    draw(list.filter((x) => x.phase === "running"));
    if (mine && load.command && !command.firstChild) command.append(card("Command", copyable(load.command)));
  };
  const poll = async () => {
    const [run, load] = await Promise.all([ask(), get("/-/load", signal)]);
    if (signal.aborted) return;
    if (run) return render(run, load);
    // The report appears last, a moment before the progress is removed.
    done.abort();
    ended();
  };
  const done = new AbortController();
  render(first, await get("/-/load", signal));
  every(1000, AbortSignal.any([signal, done.signal]), poll);
  return true;
}
