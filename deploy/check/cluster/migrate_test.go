package cluster

import (
	"strings"
	"testing"
)

// sql runs a statement in a pod of PostgreSQL.
func (r *release) sql(pod, statement string) {
	r.Helper()
	r.kubectl("exec", pod, "-c", "postgres", "--", "psql", "-h", "/var/run/postgresql", "-U", "albums", "-d", "albums", "-v", "ON_ERROR_STOP=1", "-c", statement)
}

// Versions of the schema: this chart's store knows none like it, as after the start of a newer store.
const (
	newer  = "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"
	repair = "DELETE FROM goose_db_version WHERE version_id = 99999"
	reason = "the schema is newer than this store"
)

// A Job that fails to migrate fails the upgrade. The old stores continue, the log of the Job has the reason, and
// the next upgrade succeeds.
func TestMigrationJobFails(t *testing.T) {
	r := newRelease(t, "migrate-job", replicated...)
	r.do("install")
	old := r.pods("album-store")
	l := r.start()
	r.sql("lab-soundcheck-postgres-0", newer)
	out, err := r.run("upgrade", append(upgrade("1"), "--timeout", "90s")...)
	t.Logf("helm upgrade: %v", err)
	if err == nil {
		t.Fatalf("the upgrade succeeded: %s", out)
	}
	// The command of docs/kubernetes.md.
	if log := r.kubectl("logs", "job/lab-soundcheck-migrate-2"); !strings.Contains(log, reason) {
		t.Errorf("log of the Job: %s", log)
	}
	for _, pod := range old {
		r.kubectl("wait", "--for=condition=Ready", "pod/"+pod, "--timeout=1s")
	}
	r.sql("lab-soundcheck-postgres-0", repair)
	r.do("upgrade", upgrade("2")...)
	r.ended(old)
	l.clean()
	r.replaced(old, r.pods("album-store"))
}

// A hook that fails to migrate stops the upgrade before anything is changed, and Helm prints its log.
func TestMigrationHookFails(t *testing.T) {
	r := newRelease(t, "migrate-hook", modes[4].values...)
	r.postgres()
	r.do("install")
	l := r.start()
	generations := func() string {
		return r.kubectl("get", "deployments,statefulsets,services,configmaps", "-l", "app.kubernetes.io/instance=lab", "-o",
			`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.metadata.uid}{"\n"}{end}`)
	}
	before := generations()
	r.sql("external-0", newer)
	out, err := r.run("upgrade", upgrade("1")...)
	t.Logf("helm upgrade: %v", err)
	if err == nil || !strings.Contains(out, reason) {
		t.Errorf("the upgrade does not print the log of the hook: %v\n%s", err, out)
	}
	if after := generations(); after != before {
		t.Errorf("the failed upgrade changed the release:\n%s\n%s", before, after)
	}
	r.sql("external-0", repair)
	r.do("upgrade", upgrade("2")...)
	l.clean()
	if env := r.env("album-store"); env != "2" {
		t.Errorf("the store has TEST=%q after the upgrade, want 2", env)
	}
}
