package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Flags of a cloud are checked before any program runs.
func TestCloudFlags(t *testing.T) {
	stub(t, nil)
	for _, tt := range []struct {
		args []string
		want string
		code int
	}{
		{[]string{"gke"}, "deploy: up or down?\n\nusage: deploy gke up|down [flags]", 2},
		{[]string{"eks", "sideways"}, `deploy: unknown command "sideways"`, 2},
		{[]string{"gke", "up", "-values", "missing.yaml"}, "deploy: -values: stat missing.yaml: no such file or directory", 2},
		{[]string{"gke", "down", "-values", "missing.yaml"}, "flag provided but not defined: -values", 2},
		{[]string{"gke", "up", "-context", "lab"}, "flag provided but not defined: -context", 2},
		{[]string{"eks", "up", "now"}, `"now"`, 2},
		{[]string{"azure", "up"}, `deploy: unknown command "azure"`, 2},
	} {
		_, stderr, code := deploy(t.Context(), tt.args...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: exit code %d, %q, want %d, %q", tt.args, code, stderr, tt.code, tt.want)
		}
	}
	for _, args := range [][]string{{"gke", "-h"}, {"gke", "up", "-h"}, {"eks", "down", "-h"}} {
		stdout, _, code := deploy(t.Context(), args...)
		if code != 0 || !strings.Contains(stdout, "usage: deploy "+args[0]) {
			t.Errorf("%q: exit code %d, %q", args, code, stdout)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, stderr, code := deploy(t.Context(), "gke", "up"); code != 1 || !strings.HasPrefix(stderr, "deploy: neither tofu nor terraform is in PATH: install OpenTofu 1.10 or later") {
		t.Errorf("no tool: exit code %d, %q", code, stderr)
	}
}

// An interrupt says how to go on, and that a part of the cluster can be there.
func TestCloudInterrupted(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"tofu", "gcloud", "gke-gcloud-auth-plugin", "kubectl"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for verb, want := range map[string]string{
		"up":   "continue with go run ./deploy gke up, or delete it with go run ./deploy gke down\n",
		"down": "continue with go run ./deploy gke down\n",
	} {
		_, stderr, code := deploy(ctx, "gke", verb)
		if code != 130 || !strings.HasPrefix(stderr, "interrupted; what exists stays and has a price: ") || !strings.HasSuffix(stderr, want) {
			t.Errorf("%s: exit code %d, %q, want 130, %q", verb, code, stderr, want)
		}
	}
}
