// A heat map of native histograms over time, on a logarithmic axis.

import { at, columns, total } from "../lib/buckets.js";
import { mount, timeAxis, valueAxis } from "../lib/chart.js";
import { heat } from "../lib/colours.js";
import { h } from "../lib/dom.js";
import { exemplarLayer } from "../lib/exemplars.js";
import { digits, withUnit } from "../lib/format.js";
import { tidy } from "../lib/fields.js";
import { seriesTip } from "../lib/tip.js";

const shades = 32;

// share is the colour intensity of a count. The root makes small counts visible.
export const share = (count, most, exponent = 0.5) => Math.max(0.04, (count / most) ** exponent);

// paint fills the cells, one colour at a time.
function paint(u, model, step, exponent) {
  const { ctx, bbox } = u;
  const groups = Array.from({ length: shades }, () => []);
  for (const { time, cells } of model.list) {
    const left = u.valToPos(time - step / 2, "x", true), right = u.valToPos(time + step / 2, "x", true);
    for (const [lower, upper, count] of cells) {
      const shade = Math.min(shades - 1, Math.floor(share(count, model.max, exponent) * shades));
      groups[shade].push([left, u.valToPos(upper, "y", true), right, u.valToPos(lower, "y", true)]);
    }
  }
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  groups.forEach((list, i) => {
    if (list.length === 0) return;
    ctx.fillStyle = heat(i / (shades - 1));
    for (const [left, top, right, bottom] of list) {
      // Whole pixels avoid seams.
      const x = Math.round(left), y = Math.round(top);
      ctx.fillRect(x, y, Math.max(1, Math.round(right) - x), Math.max(1, Math.round(bottom) - y));
    }
  });
  ctx.restore();
}

export function create(body, env) {
  const area = h("div", { class: "plot" });
  const foot = h("div", { class: "foot" });
  let chart = null, layer = null, state = null;

  const { options = {}, fieldConfig = {} } = env.panel;
  const unit = options.yAxis?.unit ?? fieldConfig.defaults?.unit ?? "short";
  const cellUnit = options.cellValues?.unit ?? "short";
  const exponent = options.color?.exponent ?? 0.5;
  const value = (v) => tidy(withUnit(v, unit, options.yAxis?.decimals ?? null));

  const drop = () => {
    chart?.destroy();
    chart = layer = null;
  };

  function draw(data, force = false) {
    const model = columns(data.frames);
    if (model.list.every((c) => c.cells.length === 0)) {
      drop();
      return "empty";
    }
    state = { model, data };
    Object.assign(env.chart, { start: data.start, end: data.end });
    foot.replaceChildren(...(options.legend?.show === false ? [] : [h("div", { class: "legend heat" },
      h("span", null, "0"), h("span", { class: "ramp", role: "presentation" }), h("span", null, withUnit(model.max, cellUnit)),
      model.beneath > 0 && h("span", { class: "note" }, "values ≤ 0 are not drawn"))]));
    if (force) drop();
    if (!chart) {
      if (!area.isConnected) body.replaceChildren(area, foot);
      chart = mount(area, {
        series: [{}, { scale: "y", paths: () => null, points: { show: false } }],
        scales: { y: { distr: 3, range: () => [Math.max(state.model.low, options.yAxis?.min ?? 0), Math.min(state.model.high, options.yAxis?.max ?? Infinity)] } },
        axes: [timeAxis(), valueAxis({ scale: "y", unit, decimals: options.yAxis?.decimals ?? null, label: options.yAxis?.axisLabel, log: true })],
        cursor: { y: true, points: { show: false } },
        hooks: { drawAxes: [(u) => paint(u, state.model, state.data.step, exponent)], draw: [() => layer?.place()] },
      }, rows(data), Object.assign(env.chart, { label: env.title, tip, zoom: env.zoom, zoomOut: env.zoomOut, sync: env.sync }));
    } else chart.u.setData(rows(data));
    if (!layer && data.exemplars.length) layer = exemplarLayer(chart, "y", { unit });
    layer?.fill(data.exemplars);
    return "ok";
  }

  const rows = (data) => [data.times, data.times.map(() => state.model.low)];

  function tip(u, i) {
    if (i === null || i === undefined || options.tooltip?.mode === "none") return null;
    const found = at(state.model, u.posToVal(u.cursor.left, "x"), u.posToVal(u.cursor.top, "y"), state.data.step);
    if (!found) return state.data.times.length ? seriesTip(u.data[0][i], []) : null;
    const { column, cell } = found, all = total(column);
    const more = { colour: "transparent", name: "total", text: withUnit(all, cellUnit) };
    if (!cell) return seriesTip(column.time, [more]);
    return seriesTip(column.time, [
      { colour: heat(share(cell[2], state.model.max, exponent)), name: `${value(cell[0])} to ${value(cell[1])}`, text: withUnit(cell[2], cellUnit) },
      { colour: "transparent", name: "share", text: `${digits((cell[2] / all) * 100, 2)} %` }, more]);
  }

  return { draw, destroy: drop };
}
