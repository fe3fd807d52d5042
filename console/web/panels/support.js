// The dashboard options that the console supports. Any other option is reported on the page
// and fails a test, so that no option is ignored silently.
//
// A key is a path in the panel. Its value is true (any value), or the list of supported
// values. A path that ends in .* covers everything below. Ignored options state the reason.

const ignored = (reason) => ({ reason });

const common = {
  id: true, type: true, title: true, description: true, gridPos: ignored("placed by layout.js"), "gridPos.*": true, interval: true, maxDataPoints: true,
  "datasource.type": ["prometheus", "datasource"], "datasource.uid": ["prometheus", "grafana", "-- Grafana --"],
  "targets[].refId": true, "targets[].expr": true, "targets[].legendFormat": true, "targets[].instant": true, "targets[].range": true, "targets[].hide": true,
  "targets[].exemplar": true, "targets[].interval": true, "targets[].format": ["time_series", "table", "heatmap"],
  "targets[].datasource.type": ["prometheus"], "targets[].datasource.uid": ["prometheus"],
  "targets[].editorMode": ignored("for Grafana's editor"), "targets[].intervalFactor": [1],
  pluginVersion: ignored("Grafana version that wrote the file"), "soundcheck.*": ignored("for lab verify"), soundcheck: true,
  transparent: [false], "links[].title": true, "links[].url": true, "links[].targetBlank": true,
};

const field = {
  unit: true, decimals: true, min: true, max: true, noValue: true, displayName: true,
  "color.mode": ["fixed", "thresholds", "palette-classic", "palette-classic-by-name"], "color.fixedColor": true, "color.seriesBy": ["last"],
  "thresholds.mode": ["absolute", "percentage"], "thresholds.steps[].value": true, "thresholds.steps[].color": true,
  "mappings[].type": ["value", "range", "special"], "mappings[].options.*": true,
};

const plotted = {
  drawStyle: ["line", "bars", "points"], lineWidth: true, fillOpacity: true, gradientMode: ["none", "opacity"], lineInterpolation: ["linear", "smooth", "stepAfter", "stepBefore"],
  "lineStyle.fill": ["solid", "dash", "dot"], "lineStyle.dash[]": true, spanNulls: true, showPoints: ["auto", "never", "always"], pointSize: true,
  "stacking.mode": ["none", "normal"], "stacking.group": ["A"], axisLabel: true, axisPlacement: ["auto", "left", "right", "hidden"], axisSoftMin: true, axisSoftMax: true,
  axisColorMode: ["text"], axisCenteredZero: [false], axisBorderShow: [false], barAlignment: [0], insertNulls: [false], barWidthFactor: true,
  "scaleDistribution.type": ["linear", "log"], "scaleDistribution.log": [2, 10], "thresholdsStyle.mode": ["off", "line", "dashed", "area", "line+area", "dashed+area"],
  "hideFrom.viz": true, "hideFrom.legend": true, "hideFrom.tooltip": true,
};

const tabular = {
  "cellOptions.type": ["auto", "color-text", "color-background", "gauge"], "cellOptions.mode": ["basic", "gradient"], align: ["auto", "left", "right"], width: true, hidden: true,
  "hideFrom.viz": true, inspect: [false], filterable: [false], minWidth: true,
};

const reduced = { "options.reduceOptions.calcs[]": ["lastNotNull", "last", "firstNotNull", "min", "max", "mean", "sum", "range", "count"], "options.reduceOptions.values": [false], "options.reduceOptions.fields": [""], "options.reduceOptions.limit": true };

const calcs = ["lastNotNull", "last", "firstNotNull", "max", "min", "mean", "sum", "range", "count"];

const types = {
  timeseries: {
    custom: plotted,
    "options.legend.displayMode": ["list", "table", "hidden"], "options.legend.placement": ["bottom", "right"], "options.legend.showLegend": true, "options.legend.calcs[]": calcs,
    "options.legend.sortBy": true, "options.legend.sortDesc": true, "options.tooltip.mode": ["single", "multi", "none"], "options.tooltip.sort": ["none", "asc", "desc"],
    "options.tooltip.hideZeros": [false],
  },
  stat: {
    ...reduced, "options.colorMode": ["value", "background", "background_solid", "none"], "options.graphMode": ["none", "area"], "options.textMode": ["auto", "value", "value_and_name", "name", "none"],
    "options.justifyMode": ["auto", "center"], "options.orientation": ["auto", "horizontal", "vertical"], "options.wideLayout": ignored("for wide panels only"),
    "options.showPercentChange": [false], "options.percentChangeColorMode": ignored("only with showPercentChange"),
  },
  gauge: {
    ...reduced, "options.showThresholdMarkers": true, "options.showThresholdLabels": true, "options.orientation": ["auto"], "options.sizing": ["auto"], "options.minVizHeight": ignored("sized to fit"),
    "options.minVizWidth": ignored("sized to fit"),
  },
  bargauge: {
    ...reduced, "options.displayMode": ["gradient", "basic", "lcd"], "options.valueMode": ["color", "text", "hidden"], "options.showUnfilled": true, "options.orientation": ["auto", "horizontal", "vertical"],
    "options.namePlacement": ["auto", "left"], "options.sizing": ["auto"], "options.minVizHeight": ignored("sized to fit"), "options.minVizWidth": ignored("sized to fit"),
    "options.maxVizHeight": ignored("sized to fit"), "options.legend.showLegend": [false], "options.legend.calcs[]": ignored("no legend"), "options.legend.displayMode": ignored("no legend"),
    "options.legend.placement": ignored("no legend"),
  },
  table: {
    custom: tabular, "options.showHeader": true, "options.sortBy[].displayName": true, "options.sortBy[].desc": true, "options.cellHeight": ["sm", "md"],
    "options.footer.show": [false], "options.footer.countRows": [false], "options.footer.reducer[]": ignored("no footer"), "options.footer.fields": ignored("no footer"),
    "transformations[].id": ["organize", "merge"], "transformations[].options.*": true,
  },
  heatmap: {
    custom: { "scaleDistribution.type": ignored("the axis is logarithmic"), "hideFrom.*": ignored("nothing to hide from") },
    "options.calculate": [false], "options.yAxis.unit": true, "options.yAxis.decimals": true, "options.yAxis.min": true, "options.yAxis.max": true, "options.yAxis.axisLabel": true,
    "options.yAxis.axisPlacement": ["left", "auto"], "options.yAxis.reverse": [false], "options.cellValues.unit": true, "options.color.exponent": true,
    "options.color.mode": ["scheme"], "options.color.scheme": ignored("theme colours"), "options.color.fill": ignored("only with the mode opacity"), "options.color.scale": ["exponential"],
    "options.color.steps": ignored("as many as needed"), "options.color.reverse": [false], "options.cellGap": [0, 1], "options.legend.show": true, "options.tooltip.mode": ["single", "multi", "none"],
    "options.tooltip.yHistogram": ignored("the tooltip shows the share instead"), "options.tooltip.showColorScale": ignored("the colour scale is below the chart"), "options.exemplars.color": ignored("theme colours"),
    "options.filterValues.le": ignored("empty buckets are not drawn"), "options.rowsFrame.layout": ["auto"], "options.showValue": ["never", "auto"], "options.selectionMode": ["x"],
  },
  text: { "options.content": true, "options.mode": ["markdown", "code"], "options.code.*": ignored("for Grafana's editor") },
  row: { collapsed: true },
};

const dashboard = {
  uid: true, title: true, description: true, "tags[]": true, schemaVersion: true, version: true, editable: true, id: true, style: true, refresh: true, timezone: ["browser", ""],
  "time.from": true, "time.to": true, graphTooltip: [0, 1, 2], fiscalYearStartMonth: [0], weekStart: [""], liveNow: [false], "timepicker.*": ignored("for Grafana's page"), preload: [false],
  "links[].type": ["dashboards", "link"], "links[].tags[]": true, "links[].title": true, "links[].url": true, "links[].keepTime": true, "links[].includeVars": true, "links[].asDropdown": ignored("always a list"),
  "links[].icon": ignored("no icons"), "links[].targetBlank": true, "links[].tooltip": true,
  "annotations.list[].builtIn": [1], "annotations.list[].*": ignored("built-in annotations only"),
  "templating.list[].type": ["query"], "templating.list[].name": true, "templating.list[].label": true, "templating.list[].description": true, "templating.list[].multi": true,
  "templating.list[].includeAll": true, "templating.list[].allValue": true, "templating.list[].query": true, "templating.list[].query.*": true, "templating.list[].definition": true,
  "templating.list[].current.*": true, "templating.list[].hide": [0, 1, 2], "templating.list[].refresh": [1, 2], "templating.list[].sort": [0, 1, 2, 3, 4], "templating.list[].regex": [""],
  "templating.list[].datasource.type": ["prometheus"], "templating.list[].datasource.uid": ["prometheus"], "templating.list[].skipUrlSync": [false], "templating.list[].options[]": true,
  "templating.list[].allowCustomValue": true,
};

const matchers = ["byName", "byRegexp", "byFrameRefID"];

// leaves calls each with the path and value of every leaf of a value.
function leaves(value, path, each) {
  if (Array.isArray(value)) value.forEach((v) => leaves(v, `${path}[]`, each));
  else if (value !== null && typeof value === "object") for (const [k, v] of Object.entries(value)) leaves(v, path ? `${path}.${k}` : k, each);
  else each(path, value);
}

// check returns the parts of a value that the declarations do not cover.
function check(value, declared, where, path = "") {
  const out = [];
  leaves(value, path, (p, v) => {
    let rule = declared[p];
    for (let i = p.length; rule === undefined && i > 0; i = p.lastIndexOf(".", i - 1)) rule = declared[`${p.slice(0, i)}.*`];
    if (rule === undefined) out.push(`${where}: ${p} = ${JSON.stringify(v)}`);
    else if (Array.isArray(rule) && v !== null && !rule.includes(v)) out.push(`${where}: ${p} = ${JSON.stringify(v)}, supported: ${JSON.stringify(rule)}`);
  });
  return out;
}

// unsupported returns the unsupported options of a panel, as texts.
export function unsupported(panel) {
  const where = `panel ${panel.id} (${panel.type})`;
  const { custom = {}, ...typeOptions } = types[panel.type] ?? {};
  if (!types[panel.type]) return [`${where}: unsupported panel type`];
  const { fieldConfig = {}, panels: _, ...rest } = panel;
  const fields = { ...field, ...Object.fromEntries(Object.entries(custom).map(([k, v]) => [`custom.${k}`, v])) };
  const out = [...check(rest, { ...common, ...typeOptions }, where), ...check(fieldConfig.defaults ?? {}, fields, `${where}: defaults`)];
  for (const o of fieldConfig.overrides ?? []) {
    if (!matchers.includes(o.matcher.id)) out.push(`${where}: override matches ${o.matcher.id}`);
    for (const p of o.properties) out.push(...check(p.value, fields, `${where}: override ${JSON.stringify(o.matcher.options)}`, p.id));
  }
  return out;
}

// panelsOf returns all panels of a dashboard, including those in collapsed rows.
export const panelsOf = (d) => (d.panels ?? []).flatMap((p) => [p, ...(p.panels ?? [])]);

// unsupportedIn returns the unsupported options of a dashboard and its panels.
export function unsupportedIn(d) {
  const { panels: _, ...rest } = d;
  return [...check(rest, dashboard, "dashboard"), ...panelsOf(d).flatMap(unsupported)];
}
