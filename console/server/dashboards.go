package server

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
)

// dashboardInfo is an entry of the list of dashboards.
type dashboardInfo struct {
	UID         string   `json:"uid"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Tags        []string `json:"tags"`
}

// dashboardFiles are the dashboards as Grafana reads them. They are embedded, so
// they are read once.
type dashboardFiles struct {
	list []dashboardInfo
	raw  map[string][]byte // by uid
	err  error
}

func readDashboards(files fs.FS) dashboardFiles {
	d := dashboardFiles{list: []dashboardInfo{}, raw: map[string][]byte{}}
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return dashboardFiles{err: fmt.Errorf("list the dashboards: %w", err)}
	}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return dashboardFiles{err: fmt.Errorf("read the dashboard %s: %w", name, err)}
		}
		info := dashboardInfo{Tags: []string{}}
		if err := json.Unmarshal(b, &info); err != nil {
			return dashboardFiles{err: fmt.Errorf("parse the dashboard %s: %w", name, err)}
		}
		if info.UID == "" || d.raw[info.UID] != nil {
			return dashboardFiles{err: fmt.Errorf("dashboard %s: missing or duplicate uid %q", name, info.UID)}
		}
		d.list = append(d.list, info)
		d.raw[info.UID] = b
	}
	return d
}

// listDashboards responds with uid, title, description and tags of each.
func (d dashboardFiles) listDashboards(*http.Request) (any, error) { return d.list, d.err }

// dashboard responds with the file of one.
func (d dashboardFiles) dashboard(w http.ResponseWriter, r *http.Request) {
	b, ok := d.raw[r.PathValue("uid")]
	switch {
	case d.err != nil:
		fail(w, http.StatusInternalServerError, d.err.Error())
	case !ok:
		fail(w, http.StatusNotFound, fmt.Sprintf("no dashboard %q", r.PathValue("uid")))
	default:
		content(w, r, "dashboard.json", b)
	}
}
