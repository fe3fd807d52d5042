package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/docker/go-units"
)

var (
	// A version has two numbers at least: 17 may be another tomorrow.
	pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$`)
	ours   = regexp.MustCompile(`^soundcheck/[a-z-]+:(dev|local)$`)
	user   = regexp.MustCompile(`^([1-9]\d*):(\d+)$`)
)

// containerRules are about a container by itself.
var containerRules = []Rule{
	each("image", func(s types.ServiceConfig) string {
		switch {
		case ours.MatchString(s.Image):
			if local := strings.HasSuffix(s.Image, ":local"); local != (s.Build == nil) {
				return fmt.Sprintf("has the image %s and a build: %v; :local is built before, :dev by Compose", s.Image, s.Build)
			}
			if s.Build == nil && s.PullPolicy != "never" {
				return fmt.Sprintf("has the image %s, which no registry has, and pull_policy %q, want never", s.Image, s.PullPolicy)
			}
		case !pinned.MatchString(s.Image):
			return fmt.Sprintf("has the image %q, want one with its full version", s.Image)
		case s.Build != nil:
			return "has another's image, and is built"
		}
		return ""
	}),
	each("privileges", func(s types.ServiceConfig) string {
		if s.Privileged || s.Pid != "" || s.Ipc != "" || s.UserNSMode != "" || s.Uts != "" || s.Cgroup == "host" ||
			len(s.Devices) > 0 || len(s.DeviceCgroupRules) > 0 || len(s.GroupAdd) > 0 || len(s.Sysctls) > 0 {
			return "has more rights than a container of the lab needs"
		}
		return ""
	}),
	each("user", func(s types.ServiceConfig) string {
		if s.Name == preparer && s.User == "0:0" || s.Name != preparer && user.MatchString(s.User) {
			return ""
		}
		return fmt.Sprintf("runs as %q, want UID:GID, not of root", s.User)
	}),
	each("root", func(s types.ServiceConfig) string {
		if !s.ReadOnly {
			return "can write to its root"
		}
		return ""
	}),
	each("capabilities", func(s types.ServiceConfig) string {
		var add []string
		if s.Name == preparer {
			add = []string{"CHOWN"}
		}
		if !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.CapAdd, add) {
			return fmt.Sprintf("drops %v and adds %v, want ALL and %v", s.CapDrop, s.CapAdd, add)
		}
		return ""
	}),
	each("no new privileges", func(s types.ServiceConfig) string {
		if !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
			return fmt.Sprintf("has security_opt %v, want no-new-privileges:true", s.SecurityOpt)
		}
		return ""
	}),
	each("health", func(s types.ServiceConfig) string {
		h := s.HealthCheck
		switch {
		case s.Name == preparer && h == nil:
			return ""
		case h == nil || h.Disable || len(h.Test) < 2 || h.Test[0] != "CMD":
			return fmt.Sprintf("has no health check that needs no shell: %+v", h)
		case h.Interval == nil || h.Timeout == nil || h.Retries == nil || h.StartPeriod == nil:
			return "has a health check without interval, timeout, retries or start_period"
		case h.StartInterval != nil:
			return "has start_interval, which engines before 25 refuse"
		case h.Test[1] == "/tools/labtool" && !mounts(s, "tools", "/tools", true):
			return "asks with labtool, but does not mount tools at /tools, read-only"
		}
		return ""
	}),
	each("limits", func(s types.ServiceConfig) string {
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil {
			return "has no limits"
		}
		l := s.Deploy.Resources.Limits
		// More processors than there are is an error.
		if l.NanoCPUs <= 0 || l.NanoCPUs > 2 || l.MemoryBytes < 32<<20 || l.Pids <= 0 {
			return fmt.Sprintf("has limits of %v processors (want 2 at most), %d bytes, %d processes", l.NanoCPUs, l.MemoryBytes, l.Pids)
		}
		if soft := s.Environment["GOMEMLIMIT"]; soft != nil {
			n, err := units.RAMInBytes(*soft)
			if err != nil || n >= int64(l.MemoryBytes) {
				return fmt.Sprintf("has GOMEMLIMIT=%s, want less than the %d bytes of its limit: %v", *soft, l.MemoryBytes, err)
			}
		}
		return ""
	}),
	each("restart", func(s types.ServiceConfig) string {
		want := types.RestartPolicyUnlessStopped
		if s.Name == preparer {
			want = types.RestartPolicyNo
		}
		if s.Restart != want {
			return fmt.Sprintf("has restart %q, want %q", s.Restart, want)
		}
		return ""
	}),
	each("logs", func(s types.ServiceConfig) string {
		if s.Logging == nil || s.Logging.Driver != "json-file" || s.Logging.Options["max-size"] == "" || s.Logging.Options["max-file"] == "" {
			return "has a log that grows without end"
		}
		return ""
	}),
}

// mounts tells whether a service has the named volume there.
func mounts(s types.ServiceConfig, source, target string, readOnly bool) bool {
	return slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Type == types.VolumeTypeVolume && v.Source == source && v.Target == target && v.ReadOnly == readOnly
	})
}
