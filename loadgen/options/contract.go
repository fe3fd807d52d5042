package options

import (
	"fmt"
	"net/http"
	"strings"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/contract"
	"soundcheck/loadgen/workload"
)

// contractFlags are the flags of requests from an OpenAPI document.
type contractFlags struct {
	file    string
	invalid float64
}

func (o *contractFlags) define(f *Flags) {
	f.StringVar(&o.file, "openapi", "", "OpenAPI `file` (YAML or JSON) from which requests are generated; responses are validated")
	f.Float64Var(&o.invalid, "invalid", 0, "`share` (0 to 1) of invalid requests of -openapi, which must get a 4xx")
}

// readContract reads the document of -openapi.
func (f *Flags) readContract(over http.Header) error {
	c, o := &f.Config, &f.contract
	if o.file == "" {
		if f.given["invalid"] {
			return f.Errorf("-invalid needs -openapi")
		}
		return nil
	}
	if err := f.only("-openapi", "targets", "replay", "data", "each-once", "flow", "method", "body"); err != nil {
		return err
	}
	if f.Address() != "" {
		return f.Errorf("-openapi and %s do not go together: -url is the base URL of the contract's paths", f.PlainAddress())
	}
	var err error
	if c.Contract, err = contract.Load(o.file); err != nil {
		return f.Errorf("-openapi: %v", err)
	}
	mix := f.mix
	if !f.given["mix"] && mix == f.Lookup("mix").DefValue {
		mix = ""
	}
	if c.Mix, err = workload.ContractMix(c.Contract, mix); err != nil {
		return f.Errorf("-mix: %v", err)
	}
	if c.Invalid = o.invalid; c.CheckInvalid() != nil {
		return f.Errorf("-invalid: %v", c.CheckInvalid())
	}
	for _, note := range c.Contract.Notes() {
		c.Notices = append(c.Notices, o.file+": "+note)
	}
	for _, missing := range c.Contract.MissingCredentials(over) {
		c.Notices = append(c.Notices, fmt.Sprintf("%s: the contract needs %s", o.file, missing))
	}
	return f.server()
}

// Below returns the path of the contract's server below a URL that is not set; "": none.
func (f *Flags) Below() string {
	if c := f.Config.Contract; c != nil && strings.HasPrefix(c.Server(), "/") {
		return c.Server()
	}
	return ""
}

// server takes the URL of the contract's server, unless -url is set.
func (f *Flags) server() error {
	c, url := &f.Config, f.Lookup("url")
	if url == nil { // an A/B run has two
		return nil
	}
	server := c.Contract.Server()
	switch {
	case f.given["url"] || url.Value.String() != url.DefValue:
		return nil
	case f.Elsewhere && (server == "" || strings.HasPrefix(server, "/")): // see Below
		return nil
	case strings.HasPrefix(server, "/"):
		c.URL += server
	case server != "":
		if _, err := cli.ParseURL(server); err != nil {
			return f.Errorf("-openapi %s: its server %s: %v: set -url", f.contract.file, server, err)
		}
		c.URL = server
	}
	c.Notices = append(c.Notices, fmt.Sprintf("%s: requests go to %s; -url sets another service", f.contract.file, c.URL))
	return nil
}
