package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"soundcheck/internal/album"
	"soundcheck/internal/fakealbum"
	"soundcheck/lab/build"
)

// SecondStoreName is a second album store, in exercises that change it.
const SecondStoreName = "album-store-2"

// often makes a symptom show within seconds.
const often = "OTEL_METRIC_EXPORT_INTERVAL=1000"

// Change is what an exercise adds to the arguments and the environment of a component.
type Change struct{ Args, Env []string }

// Load is a load generator that runs until the exercise ends.
type Load struct {
	To   string // component: ProxyName, StoreName or SecondStoreName
	Args []string
}

// Exercise is how an exercise changes a lab.
type Exercise struct {
	Name    string
	Albums  int               // in the store when the load begins, beside the first three
	Changes map[string]Change // by component
	Loads   []Load
}

// exerciseData is the folder of the album stores in an exercise: the lab's own data stay as they are.
func (l Lab) exerciseData() string { return l.data("exercise") }

// ClientTarget is loadgen or datagen.
func ClientTarget(name string) build.Target {
	return build.Target{Name: name, Module: ".", Package: "./" + name,
		Sources: []string{name, "loadgen", "internal", "lab/kube", "lab/command", "lab/proc", "deploy/charts"}}
}

// CanExercise returns an error if exercises cannot change this lab.
func (l Lab) CanExercise() error {
	switch {
	case len(l.Stores) > 0:
		return fmt.Errorf("an exercise needs the lab's own album store, and this lab calls %s: lab down, then lab up without -store", strings.Join(l.Stores, ", "))
	case !strings.HasPrefix(l.db(), sqlite):
		return fmt.Errorf("an exercise needs an album store with SQLite, and this lab has %s: lab down, then lab up without -db", l.Database())
	}
	return nil
}

// Begin deletes the data of the previous exercise and returns the changes of all components: those of
// the exercise, and what every exercise needs. Both services hide their faults, so that neither
// admin page shows which of them has one.
func (e Exercise) Begin(l Lab) (map[string]Change, error) {
	if err := e.End(l); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(l.exerciseData(), 0o755); err != nil {
		return nil, err
	}
	store := func(file string) Change {
		return Change{Env: []string{"SOUNDCHECK_STORE_FAULT_HIDDEN=true", "SOUNDCHECK_STORE_DB=" + sqlite + filepath.Join(l.exerciseData(), file), often}}
	}
	all := map[string]Change{StoreName: store("albums.db"), ProxyName: {Env: []string{"SOUNDCHECK_PROXY_FAULT_HIDDEN=true", often}}}
	if _, second := e.Changes[SecondStoreName]; second {
		all[SecondStoreName] = store("albums-2.db") // one file, one store: with the same albums
		all[ProxyName] = Change{Env: all[ProxyName].Env, Args: []string{"-store", l.Store() + "," + l.url(secondStorePort)}}
	}
	for name, c := range e.Changes {
		all[name] = Change{slices.Concat(all[name].Args, c.Args), slices.Concat(all[name].Env, c.Env)}
	}
	return all, nil
}

// End deletes the data of the exercise. Its components must have stopped, and those with Changes.
func (e Exercise) End(l Lab) error { return os.RemoveAll(l.exerciseData()) }

// Components returns the components that a lab has only in this exercise, in start order.
func (e Exercise) Components(l Lab) (list []Component) {
	if _, second := e.Changes[SecondStoreName]; second {
		c := l.service(SecondStoreName, "store", secondStorePort, secondAdminPort)
		c.Target = l.storeTarget()
		list = append(list, c)
	}
	for i, load := range e.Loads {
		to, ok := map[string]string{ProxyName: l.Proxy(), StoreName: l.Store(), SecondStoreName: l.url(secondStorePort)}[load.To]
		if !ok {
			to = load.To
		}
		c := Component{
			Name:   exerciseLoad,
			Target: ClientTarget("loadgen"),
			// It has no end: when the duration is over, the supervisor starts it again.
			Args:    append([]string{"-url", to, "-duration", "24h", "-quiet", "-keep", "", "-explain=false"}, load.Args...),
			Env:     append(l.telemetryEnv(), often),
			Address: to,
		}
		if i > 0 {
			c.Name += fmt.Sprintf("-%d", i+1)
		}
		list = append(list, c)
	}
	return list
}

// exerciseLoad is the name of the load of an exercise, and begins those of more loads.
const exerciseLoad = "exercise-load"

// fillBatch is how many albums a request of Fill creates.
const fillBatch = 500

// Fill creates the albums of the exercise in its stores, whose faults may delay it.
func (e Exercise) Fill(ctx context.Context, l Lab) error {
	if _, second := e.Changes[SecondStoreName]; second {
		if err := e.fill(ctx, l.SecondStore()); err != nil {
			return err
		}
	}
	return e.fill(ctx, l.Store())
}

func (e Exercise) fill(ctx context.Context, store string) error {
	type write struct {
		Title  string      `json:"title"`
		Artist string      `json:"artist"`
		Price  album.Cents `json:"price"`
	}
	for from := 0; from < e.Albums; from += fillBatch {
		var list []write
		for i := from; i < min(from+fillBatch, e.Albums); i++ {
			a := fakealbum.New(1, uint64(i))
			list = append(list, write{a.Title, a.Artist, a.Price})
		}
		body, err := json.Marshal(list)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, store+"/albums/batch", bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		resp.Body.Close()
		if resp.StatusCode != http.StatusCreated {
			return fmt.Errorf("create the albums of the exercise: %s: %s", resp.Status, text)
		}
	}
	return nil
}

// SecondStore returns the URL of the second store of an exercise.
func (l Lab) SecondStore() string { return l.url(secondStorePort) }

// SecondStoreAdmin is that of the second store: see StoreAdmin.
func (l Lab) SecondStoreAdmin() string { return l.url(secondAdminPort) + "/admin/faults" }
