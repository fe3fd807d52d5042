package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// Who updates the schema, for each database and mode.
func TestMigrations(t *testing.T) {
	t.Parallel()
	const (
		memory   = "database: {kind: memory}"
		sqlite   = "database: {kind: sqlite}"
		internal = "database: {kind: postgres}"
		external = "database: {kind: postgres, postgres: {mode: external, existingSecret: albums-app, existingSecretKey: url}}"
		up       = "[migrate up -wait 120s]"
		wait     = "[migrate wait -wait 120s]"
	)
	for _, tt := range []struct {
		database, mode     string
		job, hook          bool
		init, url, replica string
	}{
		{memory, "auto", false, false, "", "memory", "Recreate"},
		{memory, "init", false, false, "", "memory", "Recreate"},
		{sqlite, "auto", false, false, up, "sqlite:/data/albums.db", "Recreate"},
		{sqlite, "init", false, false, up, "sqlite:/data/albums.db", "Recreate"},
		{sqlite, "off", false, false, "", "sqlite:/data/albums.db", "Recreate"},
		{internal, "auto", true, false, wait, "lab-soundcheck-postgres uri", "RollingUpdate"},
		{internal, "job", true, false, wait, "lab-soundcheck-postgres uri", "RollingUpdate"},
		{internal, "init", false, false, up, "lab-soundcheck-postgres uri", "RollingUpdate"},
		{internal, "off", false, false, wait, "lab-soundcheck-postgres uri", "RollingUpdate"},
		{external, "auto", false, true, wait, "albums-app url", "RollingUpdate"},
		{external, "hook", false, true, wait, "albums-app url", "RollingUpdate"},
		{external, "job", true, false, wait, "albums-app url", "RollingUpdate"},
		{external, "init", false, false, up, "albums-app url", "RollingUpdate"},
		{external, "off", false, false, wait, "albums-app url", "RollingUpdate"},
	} {
		t.Run(tt.database+" "+tt.mode, func(t *testing.T) {
			t.Parallel()
			r := lab
			r.revision = 3
			objects, wrong := decode(must(t, r, merge(t, registry+tt.database+"\n", "migrations: {mode: '"+tt.mode+"'}")))
			for _, p := range append(wrong, problems(objects, r.namespace, "albums-app")...) {
				t.Error(p)
			}
			store := find(objects, "Deployment", "lab-soundcheck-album-store")
			if got := string(store.is.(*appsv1.Deployment).Spec.Strategy.Type); got != tt.replica {
				t.Errorf("strategy %s, want %s", got, tt.replica)
			}
			main := store.pod.Spec.Containers[0]
			if got := database(main); got != tt.url {
				t.Errorf("the store has database %q, want %q", got, tt.url)
			}
			if got := slices.Contains(main.Args, "-migrate=check"); got != (tt.database != memory) {
				t.Errorf("arguments %q", main.Args)
			}
			init := ""
			for _, c := range store.pod.Spec.InitContainers {
				init += fmt.Sprint(c.Args)
				if got := database(c); got != tt.url {
					t.Errorf("the init container has database %q, want %q", got, tt.url)
				}
				if c.Image != main.Image {
					t.Errorf("the init container has image %s, the store %s", c.Image, main.Image)
				}
				if mounts := len(c.VolumeMounts); (mounts == 1) != (tt.database == sqlite) {
					t.Errorf("the init container mounts %v", c.VolumeMounts)
				}
			}
			if init != tt.init {
				t.Errorf("init containers %q, want %q", init, tt.init)
			}
			var jobs []*object
			for _, o := range objects {
				if o.kind == "Job" {
					jobs = append(jobs, o)
				}
			}
			if !tt.job && !tt.hook {
				if len(jobs) > 0 {
					t.Errorf("there is %v", jobs)
				}
				return
			}
			if len(jobs) != 1 {
				t.Fatalf("Jobs: %v", jobs)
			}
			migrationJob(t, jobs[0], tt.hook, tt.url, up)
			if jobs[0].pod.Spec.Containers[0].Image != main.Image {
				t.Errorf("the Job has image %s", jobs[0].pod.Spec.Containers[0].Image)
			}
		})
	}
}

func migrationJob(t *testing.T, o *object, hook bool, url, args string) {
	t.Helper()
	job := o.is.(*batchv1.Job)
	name, annotations := "lab-soundcheck-migrate-3", map[string]string(nil)
	if hook {
		name = "lab-soundcheck-migrate"
		annotations = map[string]string{
			"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation",
			"helm.sh/hook-output-log-policy": "hook-failed",
		}
	}
	if job.Name != name || !maps.Equal(job.Annotations, annotations) {
		t.Errorf("Job %s has annotations %q, want %s with %q", job.Name, job.Annotations, name, annotations)
	}
	// Helm 4 waits for a Job that its time to live deleted, until its own time-out.
	if job.Spec.TTLSecondsAfterFinished != nil {
		t.Error("the Job has ttlSecondsAfterFinished")
	}
	// A hook stops an upgrade soon; the first install of the other waits for images and volumes.
	attempts, deadline := int32(7), int64(1800)
	if hook {
		attempts, deadline = 2, 300
	}
	if job.Spec.BackoffLimit == nil || *job.Spec.BackoffLimit != attempts-1 || job.Spec.ActiveDeadlineSeconds == nil || *job.Spec.ActiveDeadlineSeconds != deadline {
		t.Errorf("backoffLimit and activeDeadlineSeconds: %+v", job.Spec)
	}
	s := o.pod.Spec
	if s.RestartPolicy != corev1.RestartPolicyNever || s.ServiceAccountName != "" || len(s.Volumes) > 0 {
		t.Errorf("pod of the Job: restart policy %s, service account %q, volumes %v", s.RestartPolicy, s.ServiceAccountName, s.Volumes)
	}
	if got := fmt.Sprint(s.Containers[0].Args); got != args || database(s.Containers[0]) != url {
		t.Errorf("the Job runs %s with %s, want %s with %s", got, database(s.Containers[0]), args, url)
	}
}

// database is what SOUNDCHECK_STORE_DB has: a value, or the name and key of a Secret.
func database(c corev1.Container) string {
	for _, e := range c.Env {
		if e.Name == "SOUNDCHECK_STORE_DB" && e.ValueFrom != nil {
			return e.ValueFrom.SecretKeyRef.Name + " " + e.ValueFrom.SecretKeyRef.Key
		} else if e.Name == "SOUNDCHECK_STORE_DB" {
			return e.Value
		}
	}
	return ""
}

// helm uninstall keeps albums, and passwords with them.
func TestKept(t *testing.T) {
	t.Parallel()
	for name, objects := range labs(t) {
		for _, o := range objects {
			want := ""
			if o.kind == "PersistentVolumeClaim" || o.kind == "Secret" {
				want = "keep"
			}
			if got := o.GetAnnotations()["helm.sh/resource-policy"]; got != want {
				t.Errorf("%s: %s has resource policy %q, want %q", name, o, got, want)
			}
			if s, ok := o.is.(*appsv1.StatefulSet); ok && len(o.claims) > 0 {
				if p := s.Spec.PersistentVolumeClaimRetentionPolicy; p == nil || p.WhenDeleted != appsv1.RetainPersistentVolumeClaimRetentionPolicyType {
					t.Errorf("%s: %s: %v", name, o, p)
				}
			}
		}
		if claims := strings.Count(fmt.Sprint(objects), "PersistentVolumeClaim"); (claims == 1) != (name == "sqlite") {
			t.Errorf("%s has %d claims", name, claims)
		}
	}
}
