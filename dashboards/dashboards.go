// Package dashboards contains the lab's Grafana dashboards and Prometheus rules, and parses
// the panels and queries of the dashboards:
//
//	NN-name.json   dashboards for Grafana 12 and for the lab's console
//	rules/         recording rules and alerts for Prometheus; rules/tests for promtool
//	provisioning/  Grafana's data sources and dashboard provider
//
// The console draws the same files, so that they use a subset of Grafana's options:
// supported_test.go lists it.
package dashboards

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
)

//go:embed *.json rules/*.yml provisioning
var files embed.FS

// FS returns the files, with their paths in this folder.
func FS() fs.FS { return files }

// Dashboard is a dashboard file.
type Dashboard struct {
	File        string // its name
	UID         string // in links, as in /d/UID
	Title       string
	Description string
	Tags        []string
	Panels      []Panel // in file order, including panels in rows, without the rows
	Variables   []Variable
}

// Panel is one chart, table or text.
type Panel struct {
	ID          int
	Type        string // timeseries, stat, gauge, bargauge, table, heatmap, text
	Title       string
	Description string
	Unit        string // Grafana's name; of a heat map, the unit of its axis
	Targets     []Target
	Row         string // title of its row
	MayBeEmpty  string // reason why there may be no data; empty: there must be data
}

// Target is one query of a panel.
type Target struct {
	RefID        string
	Expr         string // PromQL with variables: see Interpolate
	LegendFormat string // of each series, as in "{{service_name}} p99"
	Format       string // table, heatmap, or empty for a series over time
	Instant      bool   // evaluated only at the end of the time range
	Exemplar     bool   // exemplars are queried, too
	Datasource   string // UID
}

// Variable is a dashboard variable.
type Variable struct {
	Name, Label string
	Type        string // query
	Query       string // label_values(SERIES, LABEL)
	AllValue    string // value of All
	Default     string // initial value; $__all is All
	Multi       bool   // accepts several values
	IncludeAll  bool
}

// Grafana's format, as far as it is used.
type (
	fileDashboard struct {
		UID, Title, Description string
		Tags                    []string
		Templating              struct{ List []fileVariable }
		Panels                  []filePanel
	}
	fileVariable struct {
		Name, Label, Type, Query, AllValue string
		Multi, IncludeAll                  bool
		Current                            struct{ Value any }
	}
	filePanel struct {
		ID                       int
		Type, Title, Description string
		Datasource               source
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Options                  struct{ YAxis struct{ Unit string } }
		Soundcheck               struct{ MayBeEmpty string }
		Targets                  []struct {
			RefID, Expr, LegendFormat, Format string
			Instant, Exemplar                 bool
			Datasource                        source
		}
		Panels []filePanel // of a collapsed row
	}
	source struct{ UID string }
)

// All returns the dashboards in the order of their file names.
func All() ([]Dashboard, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	var all []Dashboard
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		d, err := parse(b)
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", name, err)
		}
		d.File = name
		all = append(all, d)
	}
	return all, nil
}

func parse(b []byte) (Dashboard, error) {
	var f fileDashboard
	if err := json.Unmarshal(b, &f); err != nil {
		return Dashboard{}, err
	}
	d := Dashboard{UID: f.UID, Title: f.Title, Description: f.Description, Tags: f.Tags}
	for _, v := range f.Templating.List {
		value, _ := v.Current.Value.(string)
		d.Variables = append(d.Variables, Variable{Name: v.Name, Label: v.Label, Type: v.Type, Query: v.Query,
			AllValue: v.AllValue, Default: value, Multi: v.Multi, IncludeAll: v.IncludeAll})
	}
	row := ""
	for _, p := range f.Panels {
		if p.Type != "row" {
			d.Panels = append(d.Panels, p.panel(row))
			continue
		}
		row = p.Title
		for _, p := range p.Panels {
			d.Panels = append(d.Panels, p.panel(row))
		}
	}
	return d, nil
}

func (f filePanel) panel(row string) Panel {
	p := Panel{ID: f.ID, Type: f.Type, Title: f.Title, Description: f.Description, Row: row,
		Unit: cmp.Or(f.FieldConfig.Defaults.Unit, f.Options.YAxis.Unit), MayBeEmpty: f.Soundcheck.MayBeEmpty}
	for _, t := range f.Targets {
		p.Targets = append(p.Targets, Target{RefID: t.RefID, Expr: t.Expr, LegendFormat: t.LegendFormat, Format: t.Format,
			Instant: t.Instant, Exemplar: t.Exemplar, Datasource: cmp.Or(t.Datasource.UID, f.Datasource.UID)})
	}
	return p
}
