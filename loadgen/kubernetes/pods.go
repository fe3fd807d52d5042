package kubernetes

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Pods are those of the workers' Job, as Kubernetes' API server describes them to the coordinator's
// service account, which may list pods.
type Pods struct {
	base, namespace, job string
	folder               string // of the service account
	client               *http.Client
}

// account is where Kubernetes mounts the service account.
const account = "/var/run/secrets/kubernetes.io/serviceaccount"

// NewPods returns the pods of a Job, named NAMESPACE/JOB.
func NewPods(name string, getenv func(string) string) (*Pods, error) {
	namespace, job, ok := strings.Cut(name, "/")
	if !ok || namespace == "" || job == "" {
		return nil, fmt.Errorf("%q is not NAMESPACE/JOB", name)
	}
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("not in a pod: KUBERNETES_SERVICE_HOST is not set")
	}
	return newPods("https://"+net.JoinHostPort(host, port), namespace, job, account)
}

func newPods(base, namespace, job, folder string) (*Pods, error) {
	ca, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s has no certificate", filepath.Join(folder, "ca.crt"))
	}
	return &Pods{base, namespace, job, folder, &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}}, nil
}

// Labels and annotations of a Job's pods.
const (
	jobLabel   = "batch.kubernetes.io/job-name"
	indexLabel = "batch.kubernetes.io/job-completion-index"
)

const maxPodList = 64 << 20

// pod is what is read of a pod.
type pod struct {
	Metadata struct {
		Name              string
		Labels            map[string]string
		Annotations       map[string]string
		DeletionTimestamp *time.Time
	}
	Status struct {
		Phase, Reason, Message string
		Conditions             []struct{ Type, Status, Reason, Message string }
		ContainerStatuses      []struct {
			State struct {
				Waiting    *struct{ Reason, Message string }
				Terminated *struct {
					Reason   string
					ExitCode int
				}
			}
		}
	}
}

// Missing returns what keeps pods from running, by index. Fatal: a pod has ended, and is not replaced; then
// only those that have ended are in the result.
func (p *Pods) Missing(ctx context.Context) (why map[int]string, fatal bool) {
	why, over := map[int]string{}, map[int]string{}
	list, err := p.list(ctx)
	if err != nil {
		return map[int]string{-1: "pods unknown: " + err.Error()}, false
	}
	for _, one := range list {
		i, err := strconv.Atoi(cmp.Or(one.Metadata.Labels[indexLabel], one.Metadata.Annotations[indexLabel]))
		if err != nil {
			continue
		}
		text, ended := one.why()
		if text != "" && !strings.HasPrefix(text, "Pending: ") { // the same text for pods that wait for the same
			text = "pod " + one.Metadata.Name + ": " + text
		}
		if text != "" {
			why[i] = text
		}
		if ended {
			over[i] = why[i]
		}
	}
	if len(over) > 0 {
		return over, true
	}
	return why, false
}

func (p *Pods) list(ctx context.Context) ([]pod, error) {
	u := fmt.Sprintf("%s/api/v1/namespaces/%s/pods?labelSelector=%s", p.base, p.namespace, url.QueryEscape(jobLabel+"="+p.job))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(filepath.Join(p.folder, "token")) // Kubernetes renews it
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the API server responded %s: the service account must be allowed to list pods", resp.Status)
	}
	var all struct{ Items []pod }
	return all.Items, json.NewDecoder(io.LimitReader(resp.Body, maxPodList)).Decode(&all)
}

// podState says what keeps the first pod of a list, as kubectl's JSON, from running; "": nothing. Ended: it
// has run, with an exit code if its container has ended.
func podState(list []byte) (why string, ended bool, code int) {
	var all struct{ Items []pod }
	if err := json.Unmarshal(list, &all); err != nil || len(all.Items) == 0 {
		return "", false, 0
	}
	first := all.Items[0]
	if why, ended = first.why(); why != "" {
		why = "pod " + first.Metadata.Name + ": " + why
	}
	for _, c := range first.Status.ContainerStatuses {
		if c.State.Terminated != nil {
			code = max(code, c.State.Terminated.ExitCode)
		}
	}
	return why, ended, code
}

// why says what keeps a pod from running; "": nothing. Ended: it has run.
func (p pod) why() (text string, ended bool) {
	s := p.Status
	for _, c := range s.ContainerStatuses {
		if t := c.State.Terminated; t != nil {
			return fmt.Sprintf("%s, exit code %d", cmp.Or(t.Reason, "ended"), t.ExitCode), true
		}
	}
	switch {
	case s.Phase == "Failed":
		return strings.TrimSpace("Failed: " + cmp.Or(s.Reason, "unknown reason") + " " + s.Message), true
	case p.Metadata.DeletionTimestamp != nil:
		return "is being deleted", true
	}
	for _, c := range s.Conditions {
		if c.Type == "PodScheduled" && c.Status == "False" {
			message, _, _ := strings.Cut(cmp.Or(c.Message, c.Reason), " preemption:")
			return "Pending: " + message, false
		}
	}
	for _, c := range s.ContainerStatuses {
		if w := c.State.Waiting; w != nil && w.Reason != "ContainerCreating" && w.Reason != "PodInitializing" {
			return strings.TrimSuffix(w.Reason+": "+w.Message, ": "), false
		}
	}
	if s.Phase == "Pending" {
		return "Pending: its container is being created", false
	}
	return "", false
}
