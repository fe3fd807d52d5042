package doctor

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// maxJump is how far the clock may be from what a process' start says: the supervisor notes that a moment later. maxOffset is
// for clocks of other machines, whose Date header is in whole seconds.
const (
	maxJump   = 5 * time.Second
	maxOffset = 3 * time.Second
	// maxAhead is how far the samples of Prometheus may be in the future.
	maxAhead = 15 * time.Second
)

// checkClock looks for a clock that was set while the lab ran, and for one that differs on another machine.
func (d *doctor) checkClock(ctx context.Context) *Check {
	c := newCheck("clock")
	if d.status == nil {
		return c.skip(down)
	}
	d.jumps(c)
	d.future(ctx, c)
	for _, store := range d.Lab.Stores {
		if offset, ok := d.offset(ctx, store); ok && offset.Abs() > maxOffset {
			c.problem(fmt.Sprintf("the clock of %s is %s", store, aheadOrBehind(offset)), "the spans of both machines do not fit together, and points can be too old or in the future for Prometheus",
				"timedatectl set-ntp true"+or+"the same on the other machine")
		} else if ok {
			c.note("%s agrees", store)
		}
	}
	return c
}

func aheadOrBehind(offset time.Duration) string {
	if offset < 0 {
		return (-offset).Round(time.Second).String() + " behind"
	}
	return offset.Round(time.Second).String() + " ahead"
}

// jumps compares when each process started by the wall clock, as the supervisor noted it, with when it started by
// the time since boot, which no clock setting changes.
func (d *doctor) jumps(c *Check) {
	text, err := d.sys.Read("/proc/uptime")
	uptime, err2 := strconv.ParseFloat(firstWord(text), 64)
	now := time.Now()
	if err != nil || err2 != nil {
		c.note("whether it was set is not known: %s has no /proc/uptime", runtime.GOOS)
		return
	}
	var most time.Duration
	var since time.Time
	for _, p := range d.status.Components {
		_, start, ok := d.sys.Process(p.Process.PID).Ticks()
		if !ok || !p.Process.Alive() || p.Since.IsZero() {
			continue
		}
		age := time.Duration((uptime - float64(start)/100) * float64(time.Second))
		if jump := now.Sub(p.Since.Round(0)) - age; jump.Abs() > most.Abs() {
			most, since = jump, p.Since
		}
	}
	if most.Abs() <= maxJump {
		c.note("not set since the lab started")
		return
	}
	direction := "forward"
	if most < 0 {
		direction = "back"
	}
	c.warn(fmt.Sprintf("the clock was set %s by %s after %s", direction, most.Abs().Round(time.Second), since.Format(time.DateTime)),
		"somebody or NTP set it, or the machine was paused: spans, points and logs from before and after do not fit together", d.upCommand("", d.Lab.Offset))
}

func firstWord(s string) string {
	if f := strings.Fields(s); len(f) > 0 {
		return f[0]
	}
	return ""
}

// future looks for samples in Prometheus that are newer than now: a clock was set back.
func (d *doctor) future(ctx context.Context, c *Check) {
	if d.up("prometheus") == nil {
		return
	}
	var head struct {
		HeadStats struct{ MaxTime int64 }
	}
	if err := d.prometheus().Data(ctx, "/api/v1/status/tsdb", url.Values{"limit": {"1"}}, &head); err != nil || head.HeadStats.MaxTime <= 0 || head.HeadStats.MaxTime == math.MaxInt64 {
		return
	}
	newest := time.UnixMilli(head.HeadStats.MaxTime)
	if ahead := time.Until(newest); ahead > maxAhead {
		c.problem(fmt.Sprintf("Prometheus has samples that are %s in the future", ahead.Round(time.Second)), "the clock was set back, or a sender's clock is ahead: queries do not show these samples, and older ones of the same series can be rejected",
			fmt.Sprintf("sleep %.0f", ahead.Seconds())+or+"delete all data of the lab: "+d.upCommand(" -fresh", d.Lab.Offset))
	}
}

// offset is how far the clock of a server is ahead, by the Date of its response.
func (d *doctor) offset(ctx context.Context, server string) (time.Duration, bool) {
	before := time.Now()
	resp, err := d.get(ctx, server+"/healthz")
	if err != nil {
		return 0, false
	}
	took := time.Since(before)
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, false
	}
	return date.Add(time.Second / 2).Sub(before.Add(took / 2)), true
}
