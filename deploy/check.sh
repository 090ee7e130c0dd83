#!/bin/sh
# check.sh: what can be known without running the tests.
set -eu
say() { echo "check: $*"; }

say "gofmt"
unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || { echo "these files are not formatted, run gofmt -w on them: $unformatted" >&2; exit 1; }

say "go vet"
go vet ./...

say "go.mod is tidy"
go mod verify >/dev/null
go mod tidy -diff

say "staticcheck"
.tools/staticcheck ./...

say "generated code is fresh"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
cp -r schema "$fresh/schema"
rm -f "$fresh"/schema/db/*.gen.go
.tools/sqlc generate -f "$fresh/schema/sqlc.yaml"
diff -r "$fresh/schema/db" schema/db >&2 || { echo "schema/db is not what schema/queries says: run make generate" >&2; exit 1; }

say "known vulnerabilities"
if out=$(.tools/govulncheck ./... 2>&1); then
	echo "$out" | tail -n 1
elif echo "$out" | grep -qE 'dial tcp|no such host|connection refused|timeout|403|502|503|fetching vulnerabilities'; then
	echo "check: the vulnerability database cannot be reached from here; not checked"
else
	echo "$out" >&2
	exit 1
fi
