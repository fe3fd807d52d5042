# Everything here needs only Go, make and a POSIX shell.

# A second lab: make lab-up STATE=/tmp/second PORT_OFFSET=100
STATE ?= .lab
PORT_OFFSET ?= 0
# The compiler flags of lab/build, so that its builds, vet and tests share the build cache.
SHARED = -trimpath -gcflags=all=-dwarf=false
LAB = CGO_ENABLED=0 go run $(SHARED) ./lab
DEPLOY = CGO_ENABLED=0 go run $(SHARED) ./deploy
COMPOSE = CGO_ENABLED=0 go run $(SHARED) ./compose
# The race detector needs a C compiler; go env shows whether there is one. SQLite is C translated to Go.
# It allocates outside the Go heap, where the detector finds nothing: without it, SQLite compiles and runs faster.
RACE ?= $(if $(filter 1,$(shell go env CGO_ENABLED)),-race -gcflags=modernc.org/sqlite/lib=-race=false)

# Per fuzz target. A number of inputs: after a time, the go command can fail with "context deadline exceeded".
# For a longer run: make fuzz FUZZTIME=10m
FUZZTIME ?= 2000x

# All checks except those of the form of comments, names and error strings (Jaeger, Prometheus).
STATICCHECK = all,-ST1000,-ST1003,-ST1005,-ST1016,-ST1020,-ST1021,-ST1022

# Without generated files of the Collector's builder.
GO_FILES = $(shell find . -name '*.go' -not -path './.lab/*' -not -path './collector/distribution/main*.go' -not -path './collector/distribution/components.go')

.DEFAULT_GOAL := lab-up

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# While the lab compiles, the modules of what it builds first are downloaded. Errors are those that the lab reports.
.PHONY: lab-up
lab-up: ## Get or build what is missing and start the lab (default target)
	@test -e "$(STATE)/bin/proxy-service" || { go list -deps ./store ./proxy ./console > /dev/null 2>&1 & }
	$(LAB) up -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: lab-down
lab-down: ## Stop the lab; data stays
	$(LAB) down -state $(STATE)

.PHONY: lab-status
lab-status: ## Show the lab's components
	@$(LAB) status -state $(STATE)

.PHONY: lab-doctor
lab-doctor: ## Find out what is wrong with the lab, up or down
	@$(LAB) doctor -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: lab-verify
lab-verify: ## Send a short load and check its traces, metrics, logs and dashboards
	@$(LAB) verify -state $(STATE)

.PHONY: local-proxy-test
local-proxy-test: ## Send ten requests through the proxy and check each response
	@$(LAB) smoke -url http://127.0.0.1:$$((9070 + $(PORT_OFFSET)))

.PHONY: compose-up
compose-up: ## Start the lab in Docker Compose; IMAGES=local builds every image here
	@$(COMPOSE) up -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: compose-limited-up
compose-limited-up: ## Start the lab in Docker Compose with an external album store
	@$(COMPOSE) up -limited -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: compose-down
compose-down: ## Stop the lab in Docker Compose; data stays
	@$(COMPOSE) down -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: compose-ps
compose-ps: ## Show the containers of the lab in Docker Compose
	@$(COMPOSE) -state $(STATE) -port-offset $(PORT_OFFSET) ps

.PHONY: compose-logs
compose-logs: ## Follow the logs of the lab in Docker Compose
	@$(COMPOSE) -state $(STATE) -port-offset $(PORT_OFFSET) logs --follow --tail 100

.PHONY: compose-verify
compose-verify: ## lab-verify for the lab in Docker Compose
	@$(LAB) verify -env compose -state $(STATE) -port-offset $(PORT_OFFSET)

# make k8s-up VALUES="deploy/k3d/values.yaml my.yaml" CONTEXT=k3d-soundcheck DEPLOYFLAGS="-registry HOST:PORT -set store.replicas=2"
DEPLOYFLAGS ?=
# Only from the command line: shells export variables of these names for other purposes.
VALUES =
CONTEXT =
NAMESPACE =
APPROVE =
# An empty flag would override SOUNDCHECK_DEPLOY_CONTEXT and SOUNDCHECK_DEPLOY_NAMESPACE.
K8S = $(if $(CONTEXT),-context "$(CONTEXT)") $(if $(NAMESPACE),-namespace "$(NAMESPACE)")
DEPLOY_STATE = -state $(STATE)
CLOUD = $(if $(APPROVE),-approve="$(APPROVE)") $(DEPLOY_STATE)

.PHONY: k8s-up
k8s-up: ## Install the lab's chart in Kubernetes; IMAGES=registry, local or none, VALUES=files
	@$(DEPLOY) up $(K8S) $(DEPLOY_STATE) $(VALUES:%=-values %) $(DEPLOYFLAGS)

.PHONY: k8s-down
k8s-down: ## Uninstall the lab's chart; data stays without DEPLOYFLAGS=-volumes
	@$(DEPLOY) down $(K8S) $(DEPLOY_STATE) $(DEPLOYFLAGS)

.PHONY: k8s-status
k8s-status: ## Show the components of the lab in Kubernetes
	@$(DEPLOY) status $(K8S) $(DEPLOY_STATE) $(DEPLOYFLAGS)

.PHONY: k8s-verify
k8s-verify: ## lab-verify for the lab in Kubernetes
	@$(LAB) verify -env k8s $(K8S) -state $(STATE)

.PHONY: k3d-up
k3d-up: ## Create a k3d cluster with a registry, push the images, install the chart
	@deploy/k3d/k3d.sh up
	@$(MAKE) --no-print-directory k8s-up CONTEXT=k3d-soundcheck VALUES="deploy/k3d/values.yaml $(VALUES)" DEPLOYFLAGS="-published $(DEPLOYFLAGS)"

.PHONY: k3d-push
k3d-push: ## Build the images and push them to the registry of the k3d cluster
	@$(DEPLOY) push -context k3d-soundcheck $(DEPLOY_STATE)

.PHONY: k3d-down
k3d-down: ## Delete the k3d cluster with its registry and its data
	@deploy/k3d/k3d.sh down

.PHONY: gke-up
gke-up: ## Create a cluster on Google Cloud with the lab; shows each plan and asks (APPROVE=1: does not)
	@$(DEPLOY) gke up $(CLOUD) $(VALUES:%=-values %)

.PHONY: gke-down
gke-down: ## Delete the cluster on Google Cloud, the lab and all data
	@$(DEPLOY) gke down $(CLOUD)

.PHONY: eks-up
eks-up: ## Create a cluster on AWS with the lab; shows each plan and asks (APPROVE=1: does not)
	@$(DEPLOY) eks up $(CLOUD) $(VALUES:%=-values %)

.PHONY: eks-down
eks-down: ## Delete the cluster on AWS, the lab and all data
	@$(DEPLOY) eks down $(CLOUD)

# For Linux and macOS, amd64 and arm64, from the registry of the installed program.
.PHONY: terraform-lock
terraform-lock: ## Write the lock files of deploy/terraform from the registry of tofu or terraform
	@tool=$$(command -v tofu || command -v terraform) || { echo "neither tofu nor terraform is in PATH" >&2; exit 1; }; \
	for module in gke eks release; do \
		"$$tool" -chdir=deploy/terraform/$$module providers lock -platform=linux_amd64 -platform=linux_arm64 -platform=darwin_amd64 -platform=darwin_arm64 || exit 1; \
	done

.PHONY: test-k8s
test-k8s: ## Run the tests of the chart on the cluster of the current kubectl context
	cd deploy/check && CGO_ENABLED=0 SOUNDCHECK_K8S=1 go test -v -count=1 -p 1 -timeout 60m $(SHARED) ./...

.PHONY: test
test: ## Run all tests: units, the Collector, fuzz targets, a lab end to end
	@tools/needs.sh check
	@$(MAKE) -j2 lint needs
	@$(MAKE) -j2 unit backends
	cd collector/distribution && CGO_ENABLED=0 go vet $(SHARED) . && CGO_ENABLED=0 go test $(SHARED) ./...
	cd compose/check && CGO_ENABLED=0 go vet $(SHARED) ./... && CGO_ENABLED=0 go test -count=1 $(SHARED) ./...
	cd deploy/check && CGO_ENABLED=0 go vet $(SHARED) ./... && CGO_ENABLED=0 go test -count=1 $(SHARED) ./...
	@$(MAKE) fuzz
	CGO_ENABLED=0 SOUNDCHECK_ALONE=1 go test -count=1 $(SHARED) -run 'Alone$$' ./loadgen/engine ./internal/service
	CGO_ENABLED=0 go test -v -count=1 -timeout 40m $(SHARED) ./internal/e2e

.PHONY: unit
unit: # The store first: its tests take longest. The timeout is for a busy machine: tests wait for minutes before they fail.
	go test -timeout 30m $(RACE) ./store/... $$(go list ./... | grep -vE '/(internal/e2e|store|store/.*)$$')

# Compiles what internal/e2e runs at a low priority, while unit tests run.
.PHONY: backends
backends:
	@cd collector/distribution && CGO_ENABLED=0 nice -n 10 go build -o /dev/null $(SHARED) .
	@cd backends/prometheus && CGO_ENABLED=0 nice -n 10 go build -o /dev/null $(SHARED) -tags=remove_all_sd github.com/prometheus/prometheus/cmd/prometheus
	@cd backends/jaeger && CGO_ENABLED=0 nice -n 10 go build -o /dev/null $(SHARED) . && CGO_ENABLED=0 nice -n 10 go vet $(SHARED) .

# A target that fails does not end the others; make fails in the end.
.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME
	@go list -f '{{range .TestGoFiles}}{{$$.Dir}}/{{.}}{{"\n"}}{{end}}{{range .XTestGoFiles}}{{$$.Dir}}/{{.}}{{"\n"}}{{end}}' ./... | \
		xargs grep -HE '^func Fuzz' | \
		sed -E 's|/[^/]*:func (Fuzz[A-Za-z0-9_]*).*| \1|' | \
		xargs -n 2 -P 2 sh -c 'CGO_ENABLED=0 go test $(SHARED) -run "^$$" -fuzz "^$$1\$$" -fuzztime $(FUZZTIME) -parallel 1 $$0'

.PHONY: needs
needs: # Installs what the tests need, or says what is missing.
	@tools/needs.sh

.PHONY: lint
lint: ## Check format of all modules, vet and staticcheck this one; test vets the others
	@unformatted=$$(gofmt -l $(GO_FILES)); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	CGO_ENABLED=0 go vet $(SHARED) ./...
	CGO_ENABLED=0 go vet $(SHARED) -tags=nodatabase ./store
	CGO_ENABLED=0 go vet $(SHARED) -tags=nopostgres ./store/...
	GOOS=darwin go vet ./lab/... ./compose/... ./deploy/...
	cd tools && CGO_ENABLED=0 go build $(SHARED) -o ../.lab/bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	CGO_ENABLED=0 GOFLAGS="$(SHARED)" .lab/bin/staticcheck -checks $(STATICCHECK) ./...

.PHONY: bench
bench: ## Run the benchmarks ten times, for benchstat
	go test -run '^$$' -bench . -count 10 ./...

.PHONY: bench-get
bench-get: ## Compare the store with a bare Gin handler (needs wrk)
	@store/testdata/wrk.sh

.PHONY: bench-telemetry
bench-telemetry: ## Measure what telemetry costs, and bulk work; BASE=commit compares (needs wrk)
	@BASE="$(BASE)" store/testdata/cost.sh

.PHONY: bench-check
bench-check: ## Compare HEAD's benchmarks with those of BASE=commit, by benchstat
	@BASE="$(BASE)" tools/bench-check.sh

.PHONY: bench-loadgen
bench-loadgen: ## Compare the load generator with vegeta's
	@loadgen/testdata/bench.sh

.PHONY: bench-http2
bench-http2: ## Compare the load generator's HTTP/2 and TLS with h2load and vegeta
	@loadgen/testdata/bench-http2.sh

.PHONY: perf-gate
perf-gate: ## Compare a service with that of another commit under load (BASE=COMMIT; see docs/load-tests.md)
	@BASE='$(BASE)' A='$(A)' B='$(B)' PACKAGE='$(PACKAGE)' ARGS='$(ARGS)' ARGS_B='$(ARGS_B)' REQUEST='$(REQUEST)' LOAD='$(LOAD)' OUT='$(OUT)' PORT='$(PORT)' STRICT='$(STRICT)' TRIES='$(TRIES)' tools/perf-gate.sh

.PHONY: bench-overload
bench-overload: ## Measure overload, recovery after a stall, and a store that is down (8 minutes)
	go run ./internal/e2e/overload

.PHONY: dist
dist: ## Build release binaries for Linux and macOS, amd64 and arm64, into dist/
	@tools/dist.sh

.PHONY: generate
generate: ## Generate the Collector's distribution from its manifest
	cd tools && go build -o ../.lab/bin/ocb go.opentelemetry.io/collector/cmd/builder
	cd collector && ../.lab/bin/ocb --config builder-config.yaml --skip-compilation
	# The builder has its own go directive.
	cd collector/distribution && go mod edit -go=$$(cd ../.. && go list -m -f '{{.GoVersion}}') && go mod tidy

.PHONY: chart-readme
chart-readme: ## Write the tables of the charts' values from their values.yaml
	cd deploy/check && CGO_ENABLED=0 go run $(SHARED) ./readme

.PHONY: clean
clean: lab-down ## Stop the labs; delete binaries, data, logs and Compose volumes
	@if ls -d .lab/compose* >/dev/null 2>&1; then owners=$$(docker volume ls --quiet --filter "label=soundcheck.state=$$(pwd)/.lab") || exit 1; \
		for v in $$owners; do $(COMPOSE) $$(echo "$$v" | sed 's/^soundcheck//; s/_owner$$//; s/-store/ -only-store/; s/-\([0-9][0-9]*\)$$/ -port-offset \1/') down -volumes || exit 1; done; fi
	rm -rf .lab
