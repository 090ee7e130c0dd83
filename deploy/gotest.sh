#!/bin/sh
# gotest.sh: all Go tests. The packages' own tests run with the race detector; those of test/ run whole programs,
# one after the other, since they share the machine's clock with what they measure.
set -eu
[ "$(id -u)" = 0 ] || { echo "test: network namespaces and raw sockets need root: run make test as root" >&2; exit 1; }
go test -race -timeout 15m $(go list ./... | grep -v '/test/')
go test -p 1 -count 1 -timeout 20m ./test/...
