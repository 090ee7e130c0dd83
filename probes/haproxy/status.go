package haproxy

import "bytes"

// The values of haproxy_server_status.
const (
	statusDown    = 0
	statusUp      = 1
	statusMaint   = 2
	statusDrain   = 3
	statusNoLB    = 4
	statusNoCheck = 5
	statusUnknown = -1 // no sample
)

// parseServerStatus reads the column "status" of a server. What follows the word does not matter: "UP 1/3" is UP and
// one more failed check from DOWN, "DOWN 1/2" is DOWN and coming up, "MAINT (via be/s)" follows another server,
// "DOWN (agent)" says who found it.
func parseServerStatus(b []byte) int {
	if string(b) == "no check" {
		return statusNoCheck
	}
	switch word, _, _ := bytes.Cut(b, []byte{' '}); string(word) {
	case "UP":
		return statusUp
	case "DOWN":
		return statusDown
	case "MAINT":
		return statusMaint
	case "DRAIN":
		return statusDrain
	case "NOLB":
		return statusNoLB
	}
	return statusUnknown
}

// parseBackendStatus reads the column "status" of a backend.
func parseBackendStatus(b []byte) int {
	switch s := parseServerStatus(b); s {
	case statusUp, statusDown:
		return s
	}
	return statusUnknown
}

// parseFrontendStatus reads the column "status" of a frontend: 1 OPEN, 0 STOP, 2 FULL, 3 PAUSED.
func parseFrontendStatus(b []byte) int {
	switch string(b) {
	case "OPEN":
		return 1
	case "STOP":
		return 0
	case "FULL":
		return 2
	case "PAUSED":
		return 3
	}
	return statusUnknown
}

// available says whether a server of this status serves: DRAIN and NOLB still do, for those who are there already.
func available(status int) bool { return status != statusDown && status != statusMaint }
