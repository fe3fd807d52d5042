package kubernetes

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Files are the contents of the coordinator's files, by name: its working directory has them, from a Secret.
type Files map[string]string

// Limits of a Secret. Helm stores the release in one, too: compressed, with the values, the Secret of the files, and
// the chart.
const (
	maxSecret = 1 << 20
	chartSize = 64 << 10
)

// unnamed matches what no key of a Secret has.
var unnamed = regexp.MustCompile(`[^A-Za-z0-9._-]`)

// maxName bounds the name of a file, which may get the names of flags before it: a key of a Secret has up to 253
// characters.
const maxName = 200

// Add adds the file of a flag, and returns its name there.
func (s Files) Add(flag, path string, content []byte) (name string, err error) {
	if !utf8.Valid(content) {
		return "", fmt.Errorf("-%s %s: pods get files of UTF-8 text only: use loadgen coordinate", flag, path)
	}
	name = unnamed.ReplaceAllString(filepath.Base(path), "_")
	name = cmp.Or(strings.TrimLeft(name[max(len(name)-maxName, 0):], "._-"), flag)
	for _, taken := s[name]; taken; _, taken = s[name] {
		name = flag + "-" + name
	}
	s[name] = string(content)
	return name, nil
}

// Check returns an error if the files are too large for a Secret, or for Helm.
func (s Files) Check() error {
	if len(s) == 0 {
		return nil
	}
	size, encoded := 0, map[string]string{}
	for name, content := range s {
		size += len(content)
		encoded[name] = base64.StdEncoding.EncodeToString([]byte(content))
	}
	names := strings.Join(slices.Sorted(maps.Keys(s)), ", ")
	if size > maxSecret {
		return fmt.Errorf("%s: %d bytes, and pods get files of at most %d bytes together, the limit of a Secret: use loadgen coordinate, which has no such limit", names, size, maxSecret)
	}
	release := base64.StdEncoding.EncodedLen(compressed(s)+compressed(encoded)) + chartSize
	if release > maxSecret {
		return fmt.Errorf("%s: %d bytes, which Helm compresses with their release to %d, more than the %d of a Secret: use loadgen coordinate, which has no such limit", names, size, release, maxSecret)
	}
	return nil
}

// compressed returns the size of the compressed JSON of files.
func compressed(files map[string]string) int {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_ = json.NewEncoder(z).Encode(files) // into memory
	_ = z.Close()
	return b.Len()
}

// unprintable matches characters that JSON may have and YAML may not, and U+0085, which YAML takes for a line break.
var unprintable = regexp.MustCompile(`[\x7f-\x{9f}\x{fffe}\x{ffff}]`)

// Values returns the values of a chart in JSON that is also YAML, as Helm reads them.
func Values(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return unprintable.ReplaceAllFunc(b, func(c []byte) []byte {
		r, _ := utf8.DecodeRune(c)
		return fmt.Appendf(nil, `\u%04x`, r)
	}), err
}
