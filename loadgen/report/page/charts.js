// Each chart is a function from the data to uPlot's options and columns, or null without
// data.

const font = "12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";

function axis(label, more) {
  return Object.assign({ label, stroke: css("muted"), font, labelFont: font, labelSize: 20, labelGap: 2, gap: 4,
    grid: { stroke: css("line"), width: 1 }, ticks: { stroke: css("line"), width: 1, size: 5 } }, more);
}

function timeAxis(d) {
  const long = d.end > 300;
  return axis("time since the start (" + (long ? "min:s" : "s") + ")", { incrs: ticksOfTime, size: 34, space: 48, values: (u, list) => list.map(clock(long)) });
}

const timeScale = d => ({ time: false, range: (u, min, max) => min === max || min == null ? [0, d.end] : [Math.max(min, 0), Math.min(max, d.end)] });

// The charts over time show one cursor, and zoom together.
const together = { drag: { x: true, y: false }, sync: { key: "time", setSeries: false } };

function msAxis() {
  return axis("ms", { size: 50, splits: (u, i, min, max) => logSplits(min, max), filter: (u, list) => list, values: (u, list) => list.map(plain) });
}

const msScale = { distr: 3, log: 10, range: (u, min, max) => logEnds(min, max) };

// line is a series whose value is shown while the cursor is on the chart.
const line = (label, color, more) => Object.assign({ label, stroke: css(color), width: 2, value: (u, v) => ms(v), points: { show: false } }, more);

// timeSeries labels the legend's first entry.
const timeSeries = d => ({ label: "time", value: (u, v) => v == null ? "" : clock(d.end > 300)(v) + (d.end > 300 ? "" : " s") });

// rates are stacked areas, in steps: an interval has one rate.
function rates(d) {
  if (!d.at.length || !d.classes.length) return null;
  const closed = list => list.concat(list[list.length - 1]); // the last step has an end
  const columns = [d.at.concat(d.end)], series = [timeSeries(d)], bands = [];
  const stepped = uPlot.paths.stepped({ align: 1 });
  let below = d.at.map(() => 0);
  for (const c of d.classes) {
    below = below.map((v, i) => v + c.rate[i]);
    columns.push(closed(below));
    const rate = closed(c.rate);
    series.push({ label: c.class, fill: css(c.class), width: 0, paths: stepped, points: { show: false },
      value: (u, v, s, i) => i == null ? "" : digits(rate[i]) + "/s" });
    if (columns.length > 2) bands.push({ series: [columns.length - 1, columns.length - 2] });
  }
  if (d.open) {
    columns.push(closed(d.rate_target));
    series.push(line("target rate", "target", { width: 1.5, dash: [5, 4], paths: stepped, value: (u, v) => v == null ? "" : digits(v) + "/s" }));
  }
  const within = (u, s, i, x) => i > 0 && u.data[0][i] > x ? i - 1 : i; // the interval that the cursor is in, not the nearest edge
  return { columns, options: { series, bands, cursor: Object.assign({ dataIdx: within }, together), axes: [timeAxis(d), axis("req/s", { size: 50 })],
    scales: { x: timeScale(d), y: { range: (u, min, max) => [0, (max || 1) * 1.08] } } } };
}

// middles of intervals, at which lines have their points.
const middles = d => d.at.map((at, i) => (at + (i + 1 < d.at.length ? d.at[i + 1] : d.end)) / 2);

function times(d) {
  if (!d.p50.some(v => v != null)) return null;
  const points = color => ({ show: d.at.length <= 60, size: 5, fill: css(color) });
  return { columns: [middles(d), d.max, d.p99, d.p50], options: { cursor: together, axes: [timeAxis(d), msAxis()],
    series: [timeSeries(d), line("max", "max", { width: 1.5, points: points("max") }), line("p99", "p99", { points: points("p99") }), line("p50", "p50", { points: points("p50") })],
    scales: { x: Object.assign(timeScale(d), { range: (u, min, max) => zoomed(u, min, max, d) }), y: msScale } } };
}

// zoomed widens the scale of points in middles to whole intervals.
function zoomed(u, min, max, d) {
  const all = middles(d);
  if (min == null || min <= all[0] && max >= all[all.length - 1]) return [0, d.end];
  return [Math.max(min, 0), Math.min(max, d.end)];
}

// percentiles by nines: each further nine has the same width.
function percentiles(d) {
  const p = d.percentiles;
  if (!p.nines.length) return null;
  const name = n => +(100 - 100 * 10 ** -n).toPrecision(Math.max(2, Math.ceil(n) + 2)) + "%";
  const floor = v => v == null ? null : Math.max(v, 0.001); // the log scale begins at 1 µs
  const columns = [p.nines, p.response.map(floor), p.service.map(floor)];
  const series = [{ label: "share", value: (u, v) => v == null ? "" : name(v) }, line("response time, served", "p99"), line("service time, all", "p50", { dash: [6, 4] })];
  if (p.send_delay.length) {
    columns.push(p.send_delay.map(floor));
    series.push(line("send delay", "max"));
  }
  const ticks = [Math.log10(2), 1, 2, 3, 4, 5];
  return { columns, options: { series, cursor: { drag: { x: true, y: false } },
    axes: [axis("share of the requests", { size: 34, splits: (u, i, min, max) => ticks.filter(v => v >= min - 0.01 && v <= max + 0.01), filter: (u, list) => list, values: (u, list) => list.map(name) }), msAxis()],
    scales: { x: { time: false }, y: msScale } } };
}

// heat draws a cell for each interval and band of response times.
function heat(d) {
  const h = d.heat, colors = [0, 1, 2, 3].map(n => css("heat" + n));
  if (!h.bounds.length) return null;
  const totals = h.cells.map(list => {
    let total = 0;
    for (let k = 1; k < list.length; k += 2) total += list[k];
    return total;
  });
  const end = i => i + 1 < d.at.length ? d.at[i + 1] : d.end;
  function draw(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    h.cells.forEach((list, i) => {
      const x = Math.round(u.valToPos(d.at[i], "x", true)), width = Math.max(Math.round(u.valToPos(end(i), "x", true)) - x, 1);
      for (let k = 0; k < list.length; k += 2) {
        const y = Math.round(u.valToPos(h.bounds[list[k] + 1], "y", true)), height = Math.round(u.valToPos(h.bounds[list[k]], "y", true)) - y;
        ctx.fillStyle = blend(colors, Math.sqrt(list[k + 1] / totals[i] / h.most)); // the square root makes outliers visible
        ctx.fillRect(x, y, width, Math.max(height, 1));
      }
    });
    ctx.restore();
  }
  const output = document.createElement("output");
  const percent = share => digits(100 * share) + "%";
  function point(u) {
    output.textContent = "";
    const { left, top } = u.cursor;
    if (left < 0 || top < 0) return;
    const time = u.posToVal(left, "x"), value = u.posToVal(top, "y");
    const i = d.at.findIndex((at, i) => time >= at && time < end(i)), band = h.bounds.findIndex((b, n) => value >= b && value < h.bounds[n + 1]);
    if (i < 0 || band < 0) return;
    let count = 0;
    for (let k = 0; k < h.cells[i].length; k += 2) if (h.cells[i][k] === band) count = h.cells[i][k + 1];
    output.textContent = `${clock(d.end > 300)(d.at[i])}${d.end > 300 ? "" : " s"}: ${count} of ${totals[i]} in ${digits(h.bounds[band])} to ${ms(h.bounds[band + 1])}`;
  }
  function key() {
    const div = document.createElement("div");
    div.className = "scale";
    div.append("0%", document.createElement("i"), percent(h.most) + " of an interval's requests", output);
    return div;
  }
  return { columns: [middles(d), d.p50.map(() => null)], below: key(), options: { cursor: Object.assign({ points: { show: false } }, together), legend: { show: false },
    series: [timeSeries(d), { paths: () => null, points: { show: false } }], axes: [timeAxis(d), msAxis()], hooks: { draw: [draw], setCursor: [point] },
    scales: { x: { time: false, range: (u, min, max) => zoomed(u, min, max, d) }, y: { distr: 3, log: 10, range: () => [h.bounds[0], h.bounds[h.bounds.length - 1]] } } } };
}
