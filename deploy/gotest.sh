#!/bin/sh
# gotest.sh: all Go tests. The packages' own run with the race detector; those of test/ run whole programs,
# one after the other, since they share the machine's clock with what they measure.
set -eu
[ "$(id -u)" = 0 ] || { echo "test: network namespaces and raw sockets need root: run make test as root" >&2; exit 1; }
# The packages whose timers are those of real failovers run after the others, with the machine to themselves.
alone='/test/|keepwatch/haagent$|keepwatch/haagent/link$|keepwatch/haagent/supervise$|keepwatch/cmd/keepwatch-haagent$|keepwatch/collector$'
go test -race -timeout 15m $(go list ./... | grep -vE "$alone")
go test -race -p 1 -timeout 15m ./haagent ./haagent/link ./haagent/supervise ./cmd/keepwatch-haagent ./collector
go test -p 1 -count 1 -timeout 20m ./test/...
