package cli

import (
	"flag"
	"fmt"
	"time"
)

// kind returns what a value of a type of package flag is, or "" for other types.
func kind(v flag.Value) string {
	g, ok := v.(flag.Getter)
	if !ok {
		return ""
	}
	switch g.Get().(type) {
	case time.Duration:
		return "a duration such as 30s or 5m"
	case uint, uint64:
		return "a whole number, 0 or more"
	case int, int64:
		return "a whole number such as 10"
	case float64:
		return "a number such as 0.5"
	case bool:
		return "true or false"
	}
	return ""
}

// invalid returns the error of a value of -name or of an environment variable. Package flag has only "parse error" and
// "value out of range" for its types. The errors of other types say what they want.
func invalid(v flag.Value, name, from, value string, err error) error {
	want := kind(v)
	switch {
	case want != "" && err.Error() == "parse error":
		return fmt.Errorf("%s: %q is not %s", name, value, want)
	case want != "" && err.Error() == "value out of range":
		return fmt.Errorf("%s: %s is out of range", name, value)
	}
	return fmt.Errorf("invalid value %q for %s: %w", value, from, err)
}

// checked is a value during parsing.
type checked struct {
	flag.Value
	name string
	bad  *error // of Set, for a type of package flag
}

// Set implements flag.Value.
func (c checked) Set(s string) error {
	err := c.Value.Set(s)
	if err != nil && kind(c.Value) != "" {
		*c.bad = invalid(c.Value, "-"+c.name, "flag -"+c.name, s, err)
	}
	return err
}

// IsBoolFlag reports whether the flag needs no value.
func (c checked) IsBoolFlag() bool {
	b, ok := c.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// String is of a zero value, too.
func (c checked) String() string {
	if c.Value == nil {
		return ""
	}
	return c.Value.String()
}
