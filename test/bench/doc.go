// Package bench measures the whole way of a sample in one process on loopback: sealed datagram over UDP, collector,
// state stream over TCP, extractor, bus on disk, writer, committed row in a private Postgres with fsync; and what our
// collector costs as a process beside the real gmond and node_exporter. It never runs as part of the tests; `make bench`
// and `make bench-ganglia` start it.
package bench
