package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"

	"soundcheck/dashboards"
)

func askFor(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "127.0.0.1:3300"
	h.ServeHTTP(w, r)
	return w
}

func TestDashboardsAreServed(t *testing.T) {
	t.Parallel()
	nowhere := &url.URL{Scheme: "http", Host: "127.0.0.1:1"}
	h := New(Config{Prometheus: nowhere, Jaeger: nowhere})
	all, err := dashboards.All()
	if err != nil {
		t.Fatal(err)
	}
	w := askFor(t, h, "/-/dashboards")
	var list []dashboardInfo
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 {
		t.Fatalf("list: %d %s", w.Code, w.Body)
	}
	if len(list) != len(all) || len(list) == 0 {
		t.Fatalf("%d dashboards are listed, want %d", len(list), len(all))
	}
	for i, d := range all {
		if list[i].UID != d.UID || list[i].Title != d.Title || list[i].Description != d.Description || strings.Join(list[i].Tags, " ") != strings.Join(d.Tags, " ") {
			t.Errorf("list[%d] = %+v, want %s %q", i, list[i], d.UID, d.Title)
		}
		w := askFor(t, h, "/-/dashboards/"+d.UID)
		var got struct{ UID string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || got.UID != d.UID {
			t.Errorf("%s: %d %v, uid %q", d.UID, w.Code, err, got.UID)
		}
		if ct := w.Header().Get("Content-Type"); ct != "application/json; charset=utf-8" {
			t.Errorf("%s: Content-Type = %q", d.UID, ct)
		}
	}
	if w := askFor(t, h, "/-/dashboards/none"); w.Code != 404 || !strings.Contains(w.Body.String(), `no dashboard \"none\"`) {
		t.Errorf("unknown uid: %d %s", w.Code, w.Body)
	}
}

func TestBrokenDashboards(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"no JSON":  {fstest.MapFS{"a.json": {Data: []byte(`{`)}}, "parse the dashboard a.json"},
		"no uid":   {fstest.MapFS{"a.json": {Data: []byte(`{}`)}}, "dashboard a.json: missing or duplicate uid"},
		"same uid": {fstest.MapFS{"a.json": {Data: []byte(`{"uid":"x"}`)}, "b.json": {Data: []byte(`{"uid":"x"}`)}}, "dashboard b.json: missing or duplicate uid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := readDashboards(tt.files)
			for _, h := range []http.HandlerFunc{respond(d.listDashboards), d.dashboard} {
				w := askFor(t, h, "/-/dashboards/x")
				if w.Code != 500 || !strings.Contains(w.Body.String(), tt.want) {
					t.Errorf("answer: %d %s, want %q", w.Code, w.Body, tt.want)
				}
			}
		})
	}
}
