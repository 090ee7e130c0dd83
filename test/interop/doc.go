// Package interop holds the stories of our HA agent beside the real keepalived: each starts the program
// keepwatch-haagent with a configuration file and Debian's keepalived in network namespaces of its own, and judges by
// what stands on the wire, what the two programs say of themselves and which addresses the kernel has. It never looks
// into a running agent other than by its socket, and nobody imports it. Its tests need root, iproute2 and keepalived.
package interop
