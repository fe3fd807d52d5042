package cloud

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// database is a PostgreSQL outside the cluster.
type database struct {
	Host string   `json:"host"`
	Name string   `json:"name"`
	User string   `json:"user"`
	Get  []string `json:"get"` // command that prints {"password": "…"}
	Set  []string `json:"set"` // gcloud command that sets the password, which the flag --password has
}

// secretName is the Secret with the database's URL, and ofDatabase its annotation: the database whose password it has.
const (
	secretName = "soundcheck-database"
	ofDatabase = "soundcheck/database"
)

// databaseSecret creates the Secret with the URL of the managed database and returns its name; "" without one. The password
// goes from the cloud to the cluster: it is in no state, no argument and no file that stays.
func (c *Cloud) databaseSecret(ctx context.Context) (string, error) {
	db := c.out.Database
	if db == nil {
		return "", nil
	}
	var password string
	var err error
	switch {
	case len(db.Get) > 0:
		password, err = c.getPassword(ctx, db)
	case len(db.Set) == 0:
		err = errors.New("the output database has no command for its password")
	default:
		var known bool
		if known, err = c.hasSecret(ctx, db); known {
			return secretName, nil
		} else if err == nil {
			password, err = c.setPassword(ctx, db)
		}
	}
	if err != nil {
		return "", err
	}
	uri := url.URL{Scheme: "postgres", User: url.UserPassword(db.User, password), Host: db.Host, Path: "/" + db.Name, RawQuery: "sslmode=require"}
	type m = map[string]any
	manifest, err := json.Marshal(m{"apiVersion": "v1", "kind": "List", "items": []m{
		{"apiVersion": "v1", "kind": "Namespace", "metadata": m{"name": c.Release.Namespace}},
		{"apiVersion": "v1", "kind": "Secret", "metadata": m{"name": secretName, "namespace": c.Release.Namespace,
			"annotations": m{ofDatabase: db.id()}}, "stringData": m{"uri": uri.String()}},
	}})
	if err != nil {
		return "", err
	}
	c.step("writing the URL of the database into Secret " + secretName)
	return secretName, c.kubectlApply(ctx, string(manifest))
}

// id identifies the database: its instance and its address.
func (db *database) id() string { return strings.Join(append(slices.Clone(db.Set), db.Host), " ") }

// hasSecret reports whether the cluster has the password of this database already.
func (c *Cloud) hasSecret(ctx context.Context, db *database) (bool, error) {
	out, err := c.kubectl(ctx, "", "get", "secret", secretName, "-n", c.Release.Namespace, "--ignore-not-found", "-o", "json")
	if err != nil || strings.TrimSpace(out) == "" {
		return false, err
	}
	var found struct {
		Metadata struct{ Annotations map[string]string }
	}
	err = json.Unmarshal([]byte(out), &found)
	return found.Metadata.Annotations[ofDatabase] == db.id(), err
}

func (c *Cloud) getPassword(ctx context.Context, db *database) (string, error) {
	out, err := c.output(ctx, "", db.Get...)
	if err != nil {
		return "", err
	}
	var found struct{ Password string }
	if err := json.Unmarshal([]byte(out), &found); err != nil || found.Password == "" {
		return "", fmt.Errorf("%s: the output has no password", strings.Join(db.Get, " ")) // without the output
	}
	return found.Password, nil
}

// setPassword sets a random one. gcloud reads it from a file: other users of this machine can see arguments.
func (c *Cloud) setPassword(ctx context.Context, db *database) (password string, err error) {
	file, err := os.CreateTemp("", "soundcheck-*.yaml") // mode 600
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	password = rand.Text()
	if _, err := fmt.Fprintf(file, "--password: %s\n", password); err != nil {
		return "", err
	}
	if err := file.Close(); err != nil {
		return "", err
	}
	_, err = c.output(ctx, "", append(slices.Clone(db.Set), "--flags-file="+file.Name())...)
	return password, err
}
