// Labtool replaces a shell inside the containers: most of their images
// have none.
//
//	labtool prepare /tools postgres-data=999:999   copy itself to /tools, set owners of folders
//	labtool prepare /tools secrets=/secrets        create the database's password, once
//	labtool get http://127.0.0.1:9080/readyz       exit code 0 if the response is 2xx: a health check
//	labtool put URL BODY                           inject faults into a service
//	labtool delete URL                             clear them
//	labtool smoke http://proxy-service:9070        send ten requests, check each response
//	labtool ls /logs                               one JSON line per file: name, size
//	labtool cat /logs/otlp.jsonl 1234              content from byte 1234 on
//
// The service prepare copies it to the volume tools, which every other container mounts at
// /tools.
package main

import (
	"context"
	"fmt"
	"io"

	"soundcheck/internal/cli"
)

const usage = `usage: labtool COMMAND
  prepare FOLDER [PATH=UID:GID ...] [secrets=PATH]
                                     copy this binary to FOLDER, set the owner of each PATH;
                                     create the database's password in PATH, once
  get URL                            print the response; fail unless it is 2xx
  put URL BODY                       send JSON; as get
  delete URL                         as get
  smoke URL                          send ten requests to a proxy, check each response
  ls FOLDER                          one JSON line per file: name, size in bytes
  cat FILE [OFFSET]                  content, from this byte on (default 0)
`

func main() { cli.Main("labtool", run) }

// commands and how many arguments each takes.
var commands = map[string]struct {
	least, most int
	do          func(ctx context.Context, args []string, stdout io.Writer) error
}{
	"prepare": {1, 100, prepare},
	"get":     {1, 1, func(ctx context.Context, a []string, w io.Writer) error { return request(ctx, w, "GET", a[0], "") }},
	"put":     {2, 2, func(ctx context.Context, a []string, w io.Writer) error { return request(ctx, w, "PUT", a[0], a[1]) }},
	"delete":  {1, 1, func(ctx context.Context, a []string, w io.Writer) error { return request(ctx, w, "DELETE", a[0], "") }},
	"smoke":   {1, 1, runSmoke},
	"ls":      {1, 1, ls},
	"cat":     {1, 2, cat},
}

func run(ctx context.Context, args []string, _ func(string) string, stdout, _ io.Writer) error {
	if len(args) == 0 {
		return cli.Usage("which command?", usage)
	}
	c, ok := commands[args[0]]
	switch args = args[1:]; {
	case !ok:
		return cli.Usage("unknown command", usage)
	case len(args) < c.least || len(args) > c.most:
		return cli.Usage(fmt.Sprintf("wrong number of arguments: %d", len(args)), usage)
	}
	return c.do(ctx, args, stdout)
}
