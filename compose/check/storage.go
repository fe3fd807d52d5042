package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

// state is the folder that the lab makes: what is in it need not be there.
const state = ".lab"

// Where the database's password is: prepare makes it.
const (
	secretsVolume = "secrets"
	secretsFolder = "/run/secrets"
)

// Words that belong to a value nobody may read, and to a URL that holds one.
var (
	confidential = regexp.MustCompile(`(?i)(PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY)$`)
	inURL        = regexp.MustCompile(`//[^/@\s:]+:[^/@\s]+@`)
)

// storageRules are about files and volumes.
var storageRules = []Rule{
	{"binds", func(root string, p *types.Project) []string {
		var problems []string
		for name, s := range p.Services {
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeBind {
					continue
				}
				rel, err := filepath.Rel(root, v.Source)
				switch {
				case !v.ReadOnly:
					problems = append(problems, fmt.Sprintf("%s can write to %s", name, v.Source))
				case err != nil || strings.HasPrefix(rel, ".."):
					problems = append(problems, fmt.Sprintf("%s mounts %s, which is not of the repository", name, v.Source))
				case rel == state || strings.HasPrefix(rel, state+"/"):
				default:
					if _, err := os.Stat(v.Source); err != nil {
						problems = append(problems, fmt.Sprintf("%s mounts what is not there: %v", name, err))
					}
				}
			}
		}
		return slices.Sorted(slices.Values(problems))
	}},
	// Whoever the container's user is, he can write there, and what he writes has an end.
	each("temporary files", func(s types.ServiceConfig) string {
		for _, t := range s.Tmpfs {
			path, options, _ := strings.Cut(t, ":")
			list := strings.Split(options, ",")
			size := slices.ContainsFunc(list, func(o string) bool { return strings.HasPrefix(o, "size=") })
			if !size || path == "/tmp" && !slices.Contains(list, "mode=1777") {
				return fmt.Sprintf("has %s for temporary files, want a size, and mode=1777 of /tmp", t)
			}
		}
		return ""
	}),
	{"volumes", func(_ string, p *types.Project) []string {
		var problems []string
		used := map[string]bool{}
		for name, s := range p.Services {
			for _, v := range s.Volumes {
				switch {
				case v.Type == types.VolumeTypeBind:
				case v.Type != types.VolumeTypeVolume || v.Source == "":
					problems = append(problems, fmt.Sprintf("%s mounts a %s without a name at %s", name, v.Type, v.Target))
				default:
					if used[v.Source] = true; p.Volumes[v.Source].Name == "" {
						problems = append(problems, fmt.Sprintf("%s mounts the volume %s, which is not declared", name, v.Source))
					}
				}
			}
		}
		for name, v := range p.Volumes {
			if !used[name] || bool(v.External) {
				problems = append(problems, fmt.Sprintf("nobody of this project uses the volume %s", name))
			}
		}
		return slices.Sorted(slices.Values(problems))
	}},
	// A new volume is root's: who writes to it must have been given it.
	{"owners", func(_ string, p *types.Project) []string {
		var problems []string
		owner := map[string]string{}
		prepare := p.Services[preparer]
		for _, arg := range prepare.Command {
			if path, user, ok := strings.Cut(arg, "="); ok {
				for _, v := range prepare.Volumes {
					if v.Target == path {
						owner[v.Source] = user
					}
				}
			}
		}
		for name, s := range p.Services {
			for _, v := range s.Volumes {
				if name != preparer && v.Type == types.VolumeTypeVolume && !v.ReadOnly && owner[v.Source] != s.User {
					problems = append(problems, fmt.Sprintf("%s (%s) writes to %s, which prepare gives to %q", name, s.User, v.Source, owner[v.Source]))
				}
			}
		}
		return slices.Sorted(slices.Values(problems))
	}},
	// The password is in a volume that the database and the stores read. Nothing else has it.
	{"secrets", func(_ string, p *types.Project) []string {
		var problems []string
		for name, s := range p.Services {
			reads := name == "postgres" || strings.HasPrefix(name, "album-store")
			for _, v := range s.Volumes {
				switch {
				case v.Source != secretsVolume || name == preparer:
				case !reads:
					problems = append(problems, name+" has the secrets, and is neither database nor store")
				case !v.ReadOnly || v.Target != secretsFolder:
					problems = append(problems, fmt.Sprintf("%s has the secrets at %s, want %s, read-only", name, v.Target, secretsFolder))
				}
			}
			if name == preparer && !slices.ContainsFunc(s.Command, func(arg string) bool {
				dir, ok := strings.CutPrefix(arg, "secrets=")
				return ok && mounts(s, secretsVolume, dir, false)
			}) {
				problems = append(problems, name+" makes no secrets in their volume")
			}
			if len(s.Secrets) > 0 {
				problems = append(problems, name+" has a secret that is a file of the host")
			}
			for k, v := range s.Environment {
				if v != nil && (confidential.MatchString(k) && *v != "" || inURL.MatchString(*v)) {
					problems = append(problems, fmt.Sprintf("%s has a secret in its environment: %s", name, k))
				}
			}
			for _, arg := range s.Command {
				if inURL.MatchString(arg) {
					problems = append(problems, fmt.Sprintf("%s has a secret in its command: %s", name, arg))
				}
			}
		}
		return slices.Sorted(slices.Values(problems))
	}},
}
