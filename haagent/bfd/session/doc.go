// Package session gives the sessions of haagent/bfd their sockets and timers: control packets over UDP port 3784
// (RFC 5881), one goroutine a session and one a listening socket. It never decides whether a peer lives, which
// haagent/bfd does, nor what follows from it: haagent, which calls it, is told of every change and returns at once.
package session
