package check

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// labels returns those of the images that a Dockerfile makes when it is given args.
func labels(file string, args map[string]*string) map[string]string {
	value := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ARG (\w+)(?:="?([^"\n]*)"?)?$`).FindAllStringSubmatch(file, -1) {
		if m[2] != "" {
			value[m[1]] = m[2]
		}
	}
	for name, v := range args {
		if v != nil {
			value[name] = *v
		}
	}
	result := map[string]string{}
	text := strings.ReplaceAll(file, "\\\n", " ")
	for _, line := range regexp.MustCompile(`(?m)^LABEL (.*)$`).FindAllStringSubmatch(text, -1) {
		for _, m := range regexp.MustCompile(`([\w.]+)="([^"]*)"`).FindAllStringSubmatch(line[1], -1) {
			result[m[1]] = os.Expand(m[2], func(v string) string {
				name, other, _ := strings.Cut(v, ":-")
				if value[name] == "" {
					return other
				}
				return value[name]
			})
		}
	}
	return result
}

// Whatever is not known when an image is built, no label of it is empty; and each image
// says what it is.
func TestLabels(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	titles, built := map[string]string{}, map[string]bool{}
	for name, s := range load(t, "full with console").Services {
		if s.Build == nil {
			continue
		}
		got := labels(string(b), s.Build.Args)
		if len(got) < 5 {
			t.Fatalf("%s: labels %v", name, got)
		}
		for key, value := range got {
			if value == "" {
				t.Errorf("%s: the label %s is empty", name, key)
			}
		}
		program, title := *s.Build.Args["PROGRAM"], got["org.opencontainers.image.title"]
		if other := titles[title]; other != "" && other != program {
			t.Errorf("%s and %s have the title %q", other, program, title)
		}
		titles[title], built[program] = program, true
	}
	// The one stage that builds makes all of them, whichever is wanted.
	stage := string(b)[strings.Index(string(b), " AS build"):strings.Index(string(b), " AS image")]
	if strings.Contains(stage, "ARG PROGRAM") || strings.Contains(stage, "ARG TITLE") {
		t.Error("what is built differs from image to image: it is built anew for each")
	}
	var made []string
	for _, m := range regexp.MustCompile(`\./([\w/]+)`).FindAllStringSubmatch(stage, -1) {
		made = append(made, m[1][strings.LastIndex(m[1], "/")+1:])
		if _, err := os.Stat("../../" + m[1] + "/main.go"); err != nil {
			t.Error(err)
		}
	}
	for program := range built {
		if !slices.Contains(made, program) {
			t.Errorf("the stage that builds makes %v, and not %s", made, program)
		}
	}
}
