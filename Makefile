# Everything here needs only Go, make and a POSIX shell.

# A second lab: make lab-up STATE=/tmp/second PORT_OFFSET=100
STATE ?= .lab
PORT_OFFSET ?= 0
# The race detector needs a C compiler; go env shows whether there is one.
RACE ?= $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)

# Per fuzz target; for a longer run: make test FUZZTIME=10m
FUZZTIME ?= 3s

# All checks except those of the form of comments, names and error strings (Jaeger, Prometheus).
STATICCHECK = all,-ST1000,-ST1003,-ST1005,-ST1016,-ST1020,-ST1021,-ST1022

# Without generated files of the Collector's builder.
GO_FILES = $(shell find . -name '*.go' -not -path './.lab/*' -not -path './collector/distribution/main*.go' -not -path './collector/distribution/components.go')

.DEFAULT_GOAL := lab-up

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: lab-up
lab-up: ## Build what is missing and start the lab (default target)
	go run ./lab up -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: lab-down
lab-down: ## Stop the lab; data stays
	go run ./lab down -state $(STATE)

.PHONY: lab-status
lab-status: ## Show the lab's components
	@go run ./lab status -state $(STATE)

.PHONY: lab-verify
lab-verify: ## Send a short load and check its traces, metrics, logs and dashboards
	@go run ./lab verify -state $(STATE)

.PHONY: local-proxy-test
local-proxy-test: ## Send ten requests through the proxy and check each response
	@go run ./lab smoke -url http://127.0.0.1:$$((9070 + $(PORT_OFFSET)))

.PHONY: compose-up
compose-up: ## Start the lab in Docker Compose; IMAGES=local builds every image here
	@go run ./compose up -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: compose-limited-up
compose-limited-up: ## Start the lab in Docker Compose with an external album store
	@go run ./compose up -limited -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: compose-down
compose-down: ## Stop the lab in Docker Compose; data stays
	@go run ./compose down -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: compose-ps
compose-ps: ## Show the containers of the lab in Docker Compose
	@go run ./compose -state $(STATE) -port-offset $(PORT_OFFSET) ps

.PHONY: compose-logs
compose-logs: ## Follow the logs of the lab in Docker Compose
	@go run ./compose -state $(STATE) -port-offset $(PORT_OFFSET) logs --follow --tail 100

.PHONY: compose-verify
compose-verify: ## lab-verify for the lab in Docker Compose
	@go run ./lab verify -env compose -state $(STATE) -port-offset $(PORT_OFFSET)

.PHONY: postgres
postgres: # The tests start their own PostgreSQL server.
	@if ls /usr/lib/postgresql/*/bin/postgres /opt/homebrew/opt/postgresql*/bin/postgres >/dev/null 2>&1 || command -v postgres >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy --no-install-recommends postgresql; \
	elif command -v brew >/dev/null; then brew install postgresql@17; \
	else echo "the tests need a PostgreSQL server: install it (Debian, Ubuntu: sudo apt-get install postgresql)"; exit 1; fi

.PHONY: chromium
chromium: # The browser tests need it; without it they are skipped.
	@if command -v chromium chromium-browser google-chrome >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-dejavu-core; \
	else echo "no Chromium: browser tests are skipped"; fi

.PHONY: nginx
nginx: # The edge's tests need it; without it they are skipped. Not installed under systemd, where its package would start it.
	@if command -v nginx /usr/sbin/nginx >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && [ ! -d /run/systemd/system ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy --no-install-recommends nginx-core; \
	else echo "no nginx (Debian, Ubuntu: nginx-core): edge tests are skipped"; fi

.PHONY: debootstrap
debootstrap: # Builds PostgreSQL's image for IMAGES=local, as root.
	@if ! command -v docker >/dev/null || command -v debootstrap /usr/sbin/debootstrap >/dev/null; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -q && apt-get install -qy --no-install-recommends debootstrap; \
	else echo "no debootstrap: tests of PostgreSQL's image are skipped"; fi

.PHONY: test
test: lint postgres chromium nginx debootstrap ## Run all tests: units, the Collector, fuzz targets, a lab end to end
	go test $(RACE) $$(go list ./... | grep -v '/internal/e2e$$')
	cd collector/distribution && go test ./...
	cd compose/check && go test -count=1 ./...
	@for p in ./internal/albumhttp ./internal/fault ./internal/httpheader ./loadgen/schedule ./loadgen/slo ./loadgen/workload ./datagen/file ./console/logs; do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$p || exit 1; done; done
	SOUNDCHECK_ALONE=1 go test -count=1 -run 'Alone$$' ./loadgen/engine
	go test -v -count=1 -timeout 40m ./internal/e2e

.PHONY: lint
lint: ## Check format, vet and staticcheck our modules
	@unformatted=$$(gofmt -l $(GO_FILES)); if [ -n "$$unformatted" ]; then echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	GOOS=darwin go vet ./lab/... ./compose/...
	cd collector/distribution && go vet .
	cd compose/check && go vet ./...
	cd tools && go build -o ../.lab/bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	.lab/bin/staticcheck -checks $(STATICCHECK) ./...

.PHONY: bench
bench: ## Run the benchmarks ten times, for benchstat
	go test -run '^$$' -bench . -count 10 ./...

.PHONY: bench-get
bench-get: ## Compare the store with a bare Gin handler (needs wrk)
	@store/testdata/wrk.sh

.PHONY: bench-loadgen
bench-loadgen: ## Compare the load generator with vegeta's
	@loadgen/testdata/bench.sh

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

.PHONY: clean
clean: lab-down ## Stop the labs; delete binaries, data, logs and Compose volumes
	@if ls -d .lab/compose* >/dev/null 2>&1; then owners=$$(docker volume ls --quiet --filter "label=soundcheck.state=$$(pwd)/.lab") || exit 1; \
		for v in $$owners; do go run ./compose $$(echo "$$v" | sed 's/^soundcheck//; s/_owner$$//; s/-store/ -only-store/; s/-\([0-9][0-9]*\)$$/ -port-offset \1/') down -volumes || exit 1; done; fi
	rm -rf .lab
