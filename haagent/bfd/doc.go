// Package bfd owns bidirectional forwarding detection itself: the control packet's 24 bytes and the session's state
// machine as one function, Step (RFC 5880), asynchronous and over a single hop (RFC 5881). It never opens a socket,
// reads a clock, draws lots or logs: packets and the time come in as values, what is to be done goes out as actions.
// haagent/bfd/session drives it with real sockets.
//
// There is no echo function, no demand mode of this node's own (a peer's is obeyed) and no authentication: a packet
// that is authenticated is refused and counted.
package bfd
