// Lines, areas and bars over time.

import { alpha, colour } from "../lib/colours.js";
import { mount, timeAxis, valueAxis } from "../lib/chart.js";
import { h } from "../lib/dom.js";
import { exemplarLayer } from "../lib/exemplars.js";
import { fieldColour, fieldConfig, show, steps } from "../lib/fields.js";
import { isEmpty, reduce, stack } from "../lib/frames.js";
import { fold, legend, rowHeight, maxShare } from "../lib/legend.js";
import { seriesTip } from "../lib/tip.js";

const maxSeries = 100; // series in a chart; more are unreadable and slow

// seriesOf returns the series to draw: [{name, colour, config, values, scale}].
export function seriesOf(panel, frames) {
  return frames.map((frame, i) => {
    const config = fieldConfig(panel, { ...frame });
    const name = config.displayName || frame.name;
    const custom = config.custom, log = custom.scaleDistribution?.type === "log";
    const values = log ? frame.values.map((v) => (v > 0 ? v : null)) : frame.values;
    return { name, config, values, refId: frame.refId, colour: fieldColour(config, i, name, reduce(frame.values)), scale: `${config.unit ?? "short"} ${custom.axisPlacement === "right" ? "right" : ""}`, log, hide: custom.hideFrom?.viz === true };
  }).filter((s) => !s.hide).slice(0, maxSeries);
}

const paths = {
  smooth: () => uPlot.paths.spline(), stepAfter: () => uPlot.paths.stepped({ align: 1 }), stepBefore: () => uPlot.paths.stepped({ align: -1 }), linear: () => uPlot.paths.linear(),
};

const dash = { dash: [10, 6], dot: [2, 4] };

function plotted(s, shown) {
  const c = s.config.custom, bars = c.drawStyle === "bars", points = c.drawStyle === "points";
  const width = points ? 0 : (c.lineWidth ?? 1);
  const opacity = (c.fillOpacity ?? 0) / 100;
  const fill = opacity === 0 || points ? undefined : c.gradientMode === "opacity"
    ? (u) => {
      const g = u.ctx.createLinearGradient(0, u.bbox.top, 0, u.bbox.top + u.bbox.height);
      g.addColorStop(0, alpha(s.colour, opacity));
      g.addColorStop(1, alpha(s.colour, opacity * 0.1));
      return g;
    }
    : alpha(s.colour, opacity);
  const within = typeof c.spanNulls === "number" ? c.spanNulls / 1e3 : null;
  return {
    label: s.name, show: shown, scale: s.scale, stroke: s.colour, width, fill,
    dash: c.lineStyle?.fill && dash[c.lineStyle.fill] ? (c.lineStyle.dash ?? dash[c.lineStyle.fill]) : undefined,
    spanGaps: c.spanNulls === true,
    ...(within === null ? {} : { gaps: (u, _, __, ___, gaps) => gaps.filter(([a, b]) => u.posToVal(b, "x", true) - u.posToVal(a, "x", true) > within) }),
    paths: bars ? uPlot.paths.bars({ size: [0.8, 60], align: 1 }) : (paths[c.lineInterpolation] ?? paths.linear)(),
    points: { size: c.pointSize ?? 5, fill: s.colour, ...(points || c.showPoints === "always" ? { show: true } : c.showPoints === "never" ? { show: false } : {}) },
  };
}

// range returns the bounds of a scale from its data and the configuration of its series.
export function range(config, log, zero, low, high) {
  const { min, max, custom } = config;
  if (low === null || low === undefined) [low, high] = [min ?? 0, max ?? (min ?? 0) + 1];
  if (log) {
    const [a, b] = uPlot.rangeLog(Math.max(low, 1e-12), Math.max(high, low * 1.0001, 1e-12), custom.scaleDistribution.log === 2 ? 2 : 10, false);
    return [min > 0 ? min : a, max ?? b];
  }
  if (zero) [low, high] = [Math.min(0, low), Math.max(0, high)];
  low = Math.min(low, custom.axisSoftMin ?? low);
  high = Math.max(high, custom.axisSoftMax ?? high);
  const flat = low === high ? Math.abs(low) * 0.2 || 1 : 0;
  const [a, b] = uPlot.rangeNum(low, high + flat, { min: { pad: 0.05, soft: 0, mode: 3 }, max: { pad: 0.08, soft: 0, mode: 3 } });
  const from = min ?? a;
  const to = max ?? b;
  return from < to ? [from, to] : [from, from + 1];
}

// covering extends the bounds of the data so that exemplars are at their values: on a logarithmic axis all, on a linear
// one those below the data. A slow one above it would flatten the lines.
export function covering(exemplars, log, low, high) {
  const values = exemplars.map((e) => e.value).filter((v) => !log || v > 0);
  if (!values.length || low === null || low === undefined) return [low, high];
  return [values.reduce((a, b) => Math.min(a, b), low), log ? values.reduce((a, b) => Math.max(a, b), high) : high];
}

// scalesAndAxes returns both for series. exemplarsOn returns the exemplars of a scale.
function scalesAndAxes(series, stacked, exemplarsOn) {
  const scales = {}, axes = [timeAxis()];
  for (const s of series) {
    if (scales[s.scale]) continue;
    const c = s.config.custom;
    const group = series.filter((x) => x.scale === s.scale);
    const zero = stacked || group.some((x) => x.config.custom.drawStyle === "bars");
    scales[s.scale] = { distr: s.log ? 3 : 1, log: c.scaleDistribution?.log === 2 ? 2 : 10, range: (_, low, high) => range(s.config, s.log, zero, ...covering(exemplarsOn(s.scale), s.log, low, high)) };
    const right = c.axisPlacement === "right" || axes.length > 1;
    const decimals = s.config.decimals ?? null;
    if (c.axisPlacement !== "hidden") axes.push(valueAxis({ scale: s.scale, unit: s.config.unit, decimals, label: c.axisLabel, side: right ? 1 : 3, grid: axes.length === 1, log: s.log }));
  }
  return { scales, axes };
}

// limits draws the thresholds of the first series' configuration.
function limits(config, scale) {
  const mode = config.custom.thresholdsStyle?.mode ?? "off";
  if (mode === "off") return null;
  return (u) => {
    const { ctx, bbox } = u, { min, max } = u.scales[scale];
    if (min === null || min === undefined) return;
    const list = steps(config, config.min ?? min, config.max ?? max);
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    list.forEach((s, i) => {
      const y = Number.isFinite(s.value) ? u.valToPos(s.value, scale, true) : bbox.top + bbox.height;
      const top = i + 1 < list.length ? u.valToPos(list[i + 1].value, scale, true) : bbox.top;
      if (mode.includes("area")) {
        ctx.fillStyle = alpha(colour(s.color), 0.1);
        ctx.fillRect(bbox.left, Math.min(y, top), bbox.width, Math.abs(y - top));
      }
      if (!/line|dashed/.test(mode) || !Number.isFinite(s.value)) return;
      ctx.strokeStyle = alpha(colour(s.color), 0.85);
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash(mode.includes("dashed") ? [6 * devicePixelRatio, 4 * devicePixelRatio] : []);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    });
    ctx.restore();
  };
}

export function create(body, env) {
  const area = h("div", { class: "plot" });
  const foot = h("div", { class: "foot" });
  let chart = null, layer = null, signature = "", hidden = new Set(), last = null, state = null, open = false, height = 0;
  // The number of legend rows depends on the panel's height.
  const observer = new ResizeObserver(() => {
    if (state && foot.isConnected && height !== body.clientHeight) drawLegend();
    height = body.clientHeight;
  });
  observer.observe(body);

  const drop = () => {
    chart?.destroy();
    chart = layer = null;
    signature = "";
  };

  function draw(data, force = false) {
    last = data;
    if (isEmpty(data.frames)) {
      drop();
      return "empty";
    }
    const series = seriesOf(env.panel, data.frames);
    const shown = (s) => !hidden.has(s.name);
    const isStacked = series.some((s) => s.config.custom.stacking?.mode === "normal");
    const stacks = stack(series.map((s) => (isStacked && !shown(s) ? s.values.map(() => null) : s.values)));
    // Stacked bars overlap: the highest is drawn first.
    const bars = isStacked && series.some((s) => s.config.custom.drawStyle === "bars");
    const drawn = series.map((s, i) => ({ s, values: isStacked ? stacks[i] : s.values }));
    if (bars) drawn.reverse();
    const rows = [data.times, ...drawn.map((d) => d.values)];
    // Dashboards have exemplars of the first axis; Explore names their query.
    const observed = series.find((s) => s.refId === data.exemplarsOf) ?? series[0];
    state = { series, shown, exemplarsOn: (scale) => (scale === observed.scale ? data.exemplars : []) };
    const now = JSON.stringify([series.map((s) => [s.name, s.colour, s.scale]), [...hidden], data.exemplarsOf]);
    Object.assign(env.chart, { start: data.start, end: data.end });
    if (!force && chart && now === signature) {
      drawLegend();
      chart.u.setData(rows);
    } else {
      drop();
      signature = now;
      const list = drawn.map(({ s }) => plotted(s, shown(s)));
      const opacity = (s) => (s.config.custom.fillOpacity ?? 0) / 100;
      // An area is filled down to the next visible one below it.
      const areas = isStacked && !bars ? series.map((s, i) => i).filter((i) => shown(series[i])) : [];
      const tint = (i) => alpha(series[i].colour, opacity(series[i]));
      const bands = areas.slice(1).map((i, n) => ({ series: [i + 1, areas[n] + 1], fill: tint(i) }));
      if (bars) list.forEach((s, i) => (s.fill = drawn[i].s.colour));
      else if (isStacked) list.forEach((s, i) => (s.fill = i === areas[0] ? tint(i) : undefined));
      const { scales, axes } = scalesAndAxes(series, isStacked, (scale) => state.exemplarsOn(scale));
      const drawLimits = limits(series[0].config, series[0].scale);
      if (!area.isConnected) body.replaceChildren(area, foot);
      drawLegend();
      chart = mount(area, { series: [{}, ...list], scales, axes, bands, hooks: { drawClear: drawLimits ? [drawLimits] : [], draw: [() => layer?.place()] } }, rows,
        Object.assign(env.chart, { label: env.title, tip: tooltip, zoom: env.zoom, zoomOut: env.zoomOut, sync: env.sync }));
    }
    if (!layer && data.exemplars.length) layer = exemplarLayer(chart, observed.scale, observed.config);
    layer?.fill(data.exemplars);
    return "ok";
  }

  function drawLegend() {
    const options = env.panel.options?.legend;
    const focus = foot.contains(document.activeElement) ? document.activeElement.title : null;
    const legendRight = options?.placement === "right";
    body.classList.toggle("legend-right", legendRight);
    foot.classList.toggle("all", open);
    const scrolled = foot.scrollTop;
    foot.replaceChildren(...[legend(state.series.filter((s) => s.config.custom.hideFrom?.legend !== true), options, hidden, (next) => {
      hidden = next;
      draw(last, true);
    })].filter(Boolean));
    fold(foot, Math.max(3, Math.floor((body.clientHeight * (legendRight ? 1 : maxShare)) / rowHeight)), open, () => {
      open = !open;
      drawLegend();
    });
    foot.scrollTop = scrolled;
    if (focus) [...foot.querySelectorAll("button")].find((b) => b.title === focus)?.focus({ preventScroll: true });
  }

  function tooltip(u, i) {
    const mode = env.panel.options?.tooltip?.mode ?? "single", sort = env.panel.options?.tooltip?.sort ?? "none";
    if (mode === "none" || i === null || i === undefined) return null;
    const rows = [];
    let near = null, minDistance = Infinity;
    for (const s of state.series) {
      const value = s.values[i];
      if (!state.shown(s) || value === null || value === undefined || s.config.custom.hideFrom?.tooltip) continue;
      const row = { name: s.name, colour: s.colour, text: show(s.config, value), value };
      const distance = Math.abs(u.valToPos(value, s.scale) - u.cursor.top);
      if (distance < minDistance) [near, minDistance] = [row, distance];
      rows.push(row);
    }
    if (rows.length === 0) return seriesTip(u.data[0][i], []);
    if (mode === "single") return seriesTip(u.data[0][i], [near]);
    if (rows.length > 1) near.near = true;
    if (sort !== "none" || rows.length > 12) rows.sort((a, b) => (sort === "asc" ? a.value - b.value : b.value - a.value));
    return seriesTip(u.data[0][i], rows.slice(0, 12), rows.length - 12);
  }

  return {
    draw,
    destroy() {
      observer.disconnect();
      drop();
    },
  };
}
