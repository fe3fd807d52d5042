package cli

import "strings"

// Values is a flag that can be repeated. Those of the command line replace that of the environment.
type Values struct {
	List      []string
	isDefault bool
}

func (v *Values) String() string { return strings.Join(v.List, " ") }

// Default implements Defaulter.
func (v *Values) Default() { v.isDefault = true }

// Set adds a value.
func (v *Values) Set(s string) error {
	if v.isDefault {
		v.List, v.isDefault = nil, false
	}
	v.List = append(v.List, s)
	return nil
}
