// Package bench measures the whole way of a sample in one process on loopback: sealed datagram over UDP, collector,
// state stream over TCP, extractor, bus on disk, writer, committed row in a private Postgres with fsync. It never
// runs as part of the tests; `make bench` starts it.
package bench
