// Package vrrp owns the Virtual Router Redundancy Protocol itself: the advertisement's bytes (RFC 3768 version 2,
// RFC 5798 and 9568 version 3) and the state machine as one function, Step. It never opens a socket, reads a clock,
// starts a goroutine or logs: packets, link and track changes and the time come in as values, what is to be done
// goes out as actions. The haagent drives it with real sockets; probes/vrrp uses the decoder alone.
//
// RFC 9568 calls the master Active and its timer Active_Down_Timer; this package says master as the older RFCs,
// keepalived and every operator do.
package vrrp
