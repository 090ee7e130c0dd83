# Keepwatch. `make run` and `make test` do everything from a fresh clone; the rest are their parts.

SHELL := /bin/sh
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GO_SOURCES = $(shell find . -name '*.go' -not -path './ui/web/node_modules/*' -not -path './data/*') $(shell find schema extractor alerter -name '*.sql' -o -name '*.csv' -o -name '*.tmpl' -o -name '*.html')
WEB_SOURCES = $(shell find ui/web -type f -not -path '*/node_modules/*' -not -path '*/dist/*' -not -name '*.go')
SCENARIO ?=
PORT ?= 8080

.PHONY: help run build web lab test test-go test-web check deps deps-run deps-lab generate tools bench bench-ganglia bench-failover bench-failover-more clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

run: deps-run build ## install what is missing, build, and run everything on ./data
	@exec bin/keepwatch up --data data

build: bin/keepwatch bin/keepwatch-collector bin/keepwatch-haagent ## build bin/keepwatch, the web app inside, its collector and its HA agent

bin/keepwatch: ui/web/dist/index.html go.mod go.sum $(GO_SOURCES)
	@echo "build: compiling keepwatch (the first time takes a minute or two)"
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/keepwatch ./cmd/keepwatch

bin/keepwatch-collector: go.mod go.sum $(GO_SOURCES)
	@echo "build: compiling keepwatch-collector"
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/keepwatch-collector ./cmd/keepwatch-collector

bin/keepwatch-haagent: go.mod go.sum $(GO_SOURCES)
	@echo "build: compiling keepwatch-haagent"
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/keepwatch-haagent ./cmd/keepwatch-haagent

web: ui/web/dist/index.html ## build the web app alone

ui/web/node_modules/.installed: ui/web/package-lock.json
	@echo "build: installing the web app's npm packages"
	@cd ui/web && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.installed

ui/web/dist/index.html: ui/web/node_modules/.installed $(WEB_SOURCES)
	@echo "build: building the web app"
	@cd ui/web && npm run --silent build

lab: deps-lab build bin/lab ## a cluster in network namespaces to play with; SCENARIO=failover runs a story (root)
	@exec bin/lab --keepwatch bin/keepwatch --port $(PORT) $(if $(SCENARIO),--scenario $(SCENARIO))

bin/lab: go.mod go.sum $(GO_SOURCES)
	@echo "build: compiling the lab"
	@CGO_ENABLED=0 go build -trimpath -o bin/lab ./deploy/lab

deps: ## install the Debian packages for all targets
	@deploy/deps.sh test
deps-run:
	@deploy/deps.sh run
deps-lab:
	@deploy/deps.sh lab

tools: .tools/installed
.tools/installed: internal/tools/go.mod internal/tools/go.sum
	@echo "tools: building sqlc, staticcheck and govulncheck (about two minutes)"
	@cd internal/tools && CGO_ENABLED=0 go build -o ../../.tools/ tool && touch ../../.tools/installed

generate: tools ## write the Go code of schema/queries anew
	@.tools/sqlc generate -f schema/sqlc.yaml

check: tools deps-run build ## formatting, vet, staticcheck, generated code, known vulnerabilities
	@deploy/check.sh

test: deps build check test-web test-go ## everything, with what it needs installed

test-go: build bin/lab ## unit, race, integration, namespace and browser tests (root)
	@deploy/gotest.sh

test-web: ui/web/node_modules/.installed ## the web app's types and translations
	@echo "check: the web app"
	@cd ui/web && npm run --silent check

bench: deps-run ## samples per second from UDP datagram to committed row, CPU and bytes per sample
	@go test ./test/bench -run '^$$' -bench Pipeline -benchtime 1x -timeout 20m

bench-ganglia: deps build ## our collector beside gmond and node_exporter: packets, CPU, memory; quarter of an hour (root)
	@go test ./collector/state -run '^$$' -bench 'Native|Gmond' -benchmem
	@go test ./test/bench -run '^$$' -bench 'GmondPackets|GmondMemory|Agents' -benchtime 1x -timeout 40m

bench-failover: deps build bin/failover ## failover beside keepalived, an hour; TRIALS=, CASES=, MODES= do a part, UPDATE=1 writes docs/failover.md (root)
	@bin/failover $(if $(TRIALS),-trials $(TRIALS)) $(if $(CASES),-cases $(CASES)) $(if $(MODES),-modes $(MODES)) $(if $(UPDATE),-update) table

bench-failover-more: deps build bin/failover ## false failovers under load, cost, flood; MINUTES=10, UPDATE=1 (root)
	@bin/failover $(if $(MINUTES),-minutes $(MINUTES)) $(if $(UPDATE),-update) quiet
	@bin/failover $(if $(UPDATE),-update) cost
	@bin/failover $(if $(UPDATE),-update) flood

bin/failover: go.mod go.sum $(GO_SOURCES)
	@echo "build: compiling the failover bench"
	@CGO_ENABLED=0 go build -trimpath -o bin/failover ./test/failover

clean: ## remove what was built, not ./data
	rm -rf bin .tools ui/web/dist/assets ui/web/dist/index.html ui/web/node_modules
