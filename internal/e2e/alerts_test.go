package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// sloAlerts returns those about an objective that fire, as "name slo". Others may fire: a
// service that was ready long before the Collector could not deliver what it told first.
func (l *lab) sloAlerts(t *testing.T) (firing []string) {
	t.Helper()
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	getJSON(t, l.Prometheus()+"/api/v1/alerts", &answer)
	for _, a := range answer.Data.Alerts {
		if slo := a.Labels["slo"]; slo != "" && a.State == "firing" {
			firing = append(firing, a.Labels["alertname"]+" "+slo)
		}
	}
	slices.Sort(firing)
	return firing
}

// The lab's Prometheus has loaded the rules and can evaluate each of them; a fault
// makes an alert fire, and its end makes it stop.
func TestAlerts(t *testing.T) {
	l := newLab(t)
	l.up(t)
	stop := make(chan struct{})
	wait := l.slowest(t, stop)
	defer func() { close(stop); wait() }()

	eventually(t, "every rule has been evaluated", func() error {
		var answer struct {
			Data struct {
				Groups []struct {
					Name  string
					Rules []struct{ Name, Health, LastError string }
				}
			}
		}
		getJSON(t, l.Prometheus()+"/api/v1/rules", &answer)
		if len(answer.Data.Groups) < 4 {
			return fmt.Errorf("%d groups of rules", len(answer.Data.Groups))
		}
		for _, g := range answer.Data.Groups {
			for _, r := range g.Rules {
				if r.Health == "err" {
					t.Fatalf("%s, %s: %s", g.Name, r.Name, r.LastError)
				}
				if r.Health != "ok" && g.Name != "slo-burn-slow" { // which may be due in a minute
					return fmt.Errorf("%s, %s: %s", g.Name, r.Name, r.Health)
				}
			}
		}
		return nil
	})
	eventually(t, "the objective is kept", func() error {
		if burn, ok := l.query(t, `max(soundcheck:slo_burn:rate5m{slo="availability"})`)[""]; !ok || burn != 0 {
			return fmt.Errorf("burn rate %v, known: %v", burn, ok)
		}
		return nil
	})
	if firing := l.sloAlerts(t); len(firing) != 0 {
		t.Errorf("before the fault %v fire", firing)
	}

	l.setFaults(t, l.StoreAdmin(), "error=500@50%")
	begun := time.Now()
	eventually(t, "the alert fires", func() error {
		if firing := l.sloAlerts(t); !slices.Contains(firing, "SLOBurnNow availability") {
			return fmt.Errorf("firing: %v", firing)
		}
		return nil
	})
	t.Logf("it fired %s after the fault began", time.Since(begun).Round(time.Second))
	t.Run("the console shows it", func(t *testing.T) { l.alertShown(t, "SLOBurnNow") })

	l.setFaults(t, l.StoreAdmin())
	begun = time.Now()
	eventually(t, "the alert stops", func() error {
		if firing := l.sloAlerts(t); len(firing) != 0 {
			return fmt.Errorf("firing: %v", firing)
		}
		return nil
	})
	t.Logf("it stopped %s after the fault's end", time.Since(begun).Round(time.Second))
}
