// Program is what the supervisor's tests supervise. It serves HTTP until SIGTERM:
//
//	GET /ready    200, or 503 while the file -unready exists
//	GET /version  what it was built from
//
// It appends to the file -events: "begin NAME", "ready NAME" before it first
// answers that it is ready, "end NAME".
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const version = "1"

var (
	name       = flag.String("name", "", "")
	addr       = flag.String("addr", "", "listen address, `host:port`")
	events     = flag.String("events", "", "")
	unready    = flag.String("unready", "", "")
	readyAfter = flag.Duration("ready-after", 0, "")
	lines      = flag.Int("lines", 0, "print so many first")
	exit       = flag.Int("exit", -1, "end at once with this code")
	exitFile   = flag.String("exit-file", "", "end at once if this file exists")
	ignoreTerm = flag.Bool("ignore-term", false, "")
	write      = flag.Bool("write", false, "print numbered lines until SIGTERM, as fast as it goes")
)

func main() {
	flag.Parse()
	event("begin")
	for i := range *lines {
		fmt.Printf("line %d of %s\n", i+1, *name)
	}
	if _, err := os.Stat(*exitFile); err == nil {
		log.Fatalf("%s exists", *exitFile)
	}
	if *exit >= 0 {
		os.Exit(*exit)
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	if *write {
		for i := 0; len(term) == 0; i++ {
			fmt.Printf("%d the quick brown fox jumps over the lazy dog\n", i)
		}
		return
	}
	begun := time.Now()
	var once sync.Once
	http.HandleFunc("/ready", func(w http.ResponseWriter, _ *http.Request) {
		_, err := os.Stat(*unready)
		if err == nil || time.Since(begun) < *readyAfter {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		once.Do(func() { event("ready") })
	})
	http.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) })
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, nil)
	for range term {
		if !*ignoreTerm {
			break
		}
	}
	event("end")
}

func event(what string) {
	if *events == "" {
		return
	}
	f, err := os.OpenFile(*events, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintln(f, what, *name)
	f.Close()
}
