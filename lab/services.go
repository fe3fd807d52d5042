package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"soundcheck/lab/plan"
)

// withServices adds the flags for programs of the user.
func (f *flags) withServices() *flags {
	f.Var(&f.with, "with", "run a program of yours, too: `NAME=COMMAND`; repeatable; see docs/your-service.md")
	f.Var(&f.withURL, "with-url", "`URL` of the program of -with, which responds once it is ready; NAME=URL with several")
	f.DurationVar(&f.withTimeout, "with-timeout", 2*time.Minute, "max `time` from start of a program of -with until it is ready (1s to 1h)")
	f.StringVar(&f.withDir, "with-dir", ".", "working `folder` of the programs of -with")
	return f
}

// services returns the programs of the user.
func (f *flags) services(l plan.Lab) ([]plan.Service, error) {
	if f.Lookup("with") == nil {
		return nil, nil
	}
	if len(f.with.List) == 0 {
		useless := ""
		if len(f.withURL.List) > 0 { // also from the environment
			useless = "with-url"
		}
		f.Visit(func(fl *flag.Flag) {
			if fl.Name == "with-timeout" || fl.Name == "with-dir" {
				useless = fl.Name
			}
		})
		if useless != "" {
			return nil, f.Errorf("-%s is for programs of -with, and there is none", useless)
		}
		return nil, nil
	}
	if f.withTimeout < time.Second || f.withTimeout > time.Hour {
		return nil, f.Errorf("-with-timeout %s is out of range: 1s to 1h", f.withTimeout)
	}
	dir, err := filepath.Abs(f.withDir)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(dir); err != nil {
		return nil, f.Errorf("-with-dir: %v", err)
	} else if !st.IsDir() {
		return nil, f.Errorf("-with-dir: %s is not a folder", dir)
	}
	list, err := l.Services(f.with.List, f.withURL.List, dir, f.withTimeout)
	if err != nil {
		return nil, f.Errorf("%v", err)
	}
	return list, nil
}

// sayKept shows what the user's environment sets in place of the lab.
func sayKept(l plan.Lab, stderr io.Writer) {
	for _, s := range l.UserServices {
		if kept := l.Kept(s.Name); len(kept) > 0 {
			fmt.Fprintf(stderr, "%s has from your environment, not from the lab: %s\n", s.Name, strings.Join(kept, " "))
		}
	}
}
