// Package ganglia runs Keepwatch beside the real thing: gmond, gmetric, gmetad and ganglia-web's own code from Debian,
// each host a network namespace. Its tests read like a move from Ganglia: a cluster of both kinds, a node replaced and
// put back, gmetad polling ours and writing RRDs, ganglia-web asking ours.
package ganglia
