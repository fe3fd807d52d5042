package dashboards

import (
	"slices"
	"strings"
	"testing"
)

// supported are the panel options that the console supports, by panel type. Add new ones
// there and here.
var supported = map[string]string{
	"timeseries": `
		defaults.unit defaults.decimals defaults.min defaults.max defaults.color.mode defaults.thresholds.mode defaults.thresholds.steps
		defaults.custom.fillOpacity defaults.custom.lineWidth defaults.custom.showPoints defaults.custom.stacking.mode
		defaults.custom.scaleDistribution.type defaults.custom.scaleDistribution.log defaults.custom.thresholdsStyle.mode
		options.legend.displayMode options.legend.placement options.legend.calcs options.tooltip.mode options.tooltip.sort
		byName.color byName.unit byName.custom.axisPlacement byName.custom.fillOpacity byName.custom.lineStyle
		byRegexp.color byRegexp.custom.fillOpacity byRegexp.custom.lineStyle`,
	"stat": `
		defaults.unit defaults.decimals defaults.noValue defaults.mappings defaults.color.mode defaults.thresholds.mode defaults.thresholds.steps
		options.reduceOptions.calcs options.colorMode options.graphMode`,
	"gauge": `
		defaults.unit defaults.decimals defaults.min defaults.max defaults.color.mode defaults.thresholds.mode defaults.thresholds.steps
		options.reduceOptions.calcs`,
	"bargauge": `
		defaults.unit defaults.decimals defaults.min defaults.color.mode defaults.thresholds.mode defaults.thresholds.steps
		options.reduceOptions.calcs options.orientation options.displayMode`,
	"table": `
		defaults.unit options.showHeader options.cellHeight options.sortBy byName.displayName byName.unit
		merge organize.excludeByName`,
	"heatmap": `
		options.calculate options.color.mode options.color.scheme options.color.scale options.color.exponent options.color.steps
		options.yAxis.unit options.cellValues.unit options.tooltip.mode options.legend.show`,
	"text": `options.mode options.content`,
}

// values are the allowed values of some options.
var values = map[string]string{
	"defaults.unit":                          "s reqps ops percentunit bytes binBps short none",
	"byName.unit":                            "s reqps ops percentunit bytes binBps short none",
	"options.yAxis.unit":                     "s",
	"defaults.color.mode":                    "palette-classic thresholds",
	"defaults.custom.showPoints":             "never",
	"defaults.custom.stacking.mode":          "normal",
	"defaults.custom.scaleDistribution.type": "log",
	"defaults.custom.thresholdsStyle.mode":   "dashed",
	"byName.custom.axisPlacement":            "right",
	"options.tooltip.mode":                   "multi single",
	"options.colorMode":                      "value",
	"options.graphMode":                      "area none",
	"options.orientation":                    "horizontal",
	"options.displayMode":                    "basic",
	"options.mode":                           "markdown",
	"options.color.scheme":                   "Blues",
}

// settings calls f with the path and value of each leaf of o.
func settings(o any, prefix string, f func(path string, value any)) {
	if o == nil {
		return
	}
	m, ok := o.(object)
	if !ok || prefix == "organize.excludeByName" {
		f(prefix, o)
		return
	}
	for k, v := range m {
		settings(v, strings.TrimPrefix(prefix+"."+k, "."), f)
	}
}

func TestSupported(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, _ Dashboard, file object) {
		for _, p := range list(file["panels"]) {
			kind, _ := at(p, "type").(string)
			if kind == "row" {
				continue
			}
			check := func(path string, value any) {
				if !slices.Contains(strings.Fields(supported[kind]), path) {
					t.Errorf("panel %v is a %s: %s is not supported", at(p, "title"), kind, path)
				}
				if text, ok := value.(string); ok && values[path] != "" && !slices.Contains(strings.Fields(values[path]), text) {
					t.Errorf("panel %v: %s is %s, want one of %s", at(p, "title"), path, text, values[path])
				}
			}
			settings(at(p, "fieldConfig", "defaults"), "defaults", check)
			settings(at(p, "options"), "options", check)
			for _, o := range list(at(p, "fieldConfig", "overrides")) {
				matcher, _ := at(o, "matcher", "id").(string)
				for _, property := range list(at(o, "properties")) {
					id, _ := at(property, "id").(string)
					check(matcher+"."+id, at(property, "value"))
				}
			}
			for _, tr := range list(at(p, "transformations")) {
				id, _ := at(tr, "id").(string)
				if id == "merge" {
					check(id, nil)
					continue
				}
				settings(at(tr, "options"), id, check)
			}
		}
	})
}
