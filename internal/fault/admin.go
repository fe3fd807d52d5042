package fault

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
)

// maxBody is the maximum size of a PUT body, in bytes.
const maxBody = 16 << 10

// Admin serves the Set:
//
//	GET    /admin/faults  200 {"faults":["db-delay=20ms"],"kinds":["db-delay",…],"seed":1}
//	PUT    /admin/faults  200 the same; {"faults":[…]} replaces the active faults; 400
//	DELETE /admin/faults  200 the same; no fault is active
//
// If the faults are hidden, GET shows none of them unless the query is hidden=true, PUT and DELETE
// are 409, and the object has "hidden":true.
//
// Any client that can connect can inject faults. Requests need a loopback Host header: that
// prevents DNS rebinding from a web page.
func (s *Set) Admin() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/faults", func(w http.ResponseWriter, r *http.Request) {
		list := s.List()
		if s.hidden && r.FormValue("hidden") != "true" {
			list = []string{}
		}
		s.respond(w, list)
	})
	mux.HandleFunc("DELETE /admin/faults", func(w http.ResponseWriter, r *http.Request) {
		_ = s.Replace(r.Context()) // cannot fail without specs
		s.respond(w, s.List())
	})
	mux.HandleFunc("PUT /admin/faults", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Faults *[]string `json:"faults"`
		}
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		err := d.Decode(&in)
		if err == nil {
			if _, more := d.Token(); more != io.EOF {
				err = fmt.Errorf("unexpected data after the JSON object")
			} else if in.Faults == nil {
				err = fmt.Errorf(`"faults" is missing`)
			}
		}
		if err != nil {
			problem(w, http.StatusBadRequest, "the body must be {\"faults\":[\"db-delay=20ms\"]}: "+err.Error())
			return
		}
		if err := s.Replace(r.Context(), *in.Faults...); err != nil {
			problem(w, http.StatusBadRequest, err.Error())
			return
		}
		s.respond(w, s.List())
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !local(r.Host) {
			problem(w, http.StatusMisdirectedRequest, "the Host header must be 127.0.0.1 or localhost")
			return
		}
		if s.hidden && (r.Method == http.MethodPut || r.Method == http.MethodDelete) {
			problem(w, http.StatusConflict, "an exercise controls the faults: lab exercise stop ends it")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// local reports whether a Host header is loopback.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (s *Set) respond(w http.ResponseWriter, faults []string) {
	body := map[string]any{"faults": faults, "kinds": s.kinds, "seed": s.seed}
	if s.hidden {
		body["hidden"] = true
	}
	writeJSON(w, http.StatusOK, "application/json", body)
}

func problem(w http.ResponseWriter, status int, detail string) {
	writeJSON(w, status, "application/problem+json", map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, media string, v any) {
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // fails only if the client has left
}
