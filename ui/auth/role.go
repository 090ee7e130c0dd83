package auth

// Role is what a user may do. A higher one may all that a lower one may.
type Role string

// The roles, from low to high, as in the table roles.
const (
	Viewer   Role = "viewer"
	Operator Role = "operator"
	Admin    Role = "admin"
)

// rank orders roles; a role that is not known may nothing.
func (r Role) rank() int {
	switch r {
	case Viewer:
		return 1
	case Operator:
		return 2
	case Admin:
		return 3
	}
	return 0
}

// May reports whether the role includes another.
func (r Role) May(needed Role) bool { return r.rank() > 0 && r.rank() >= needed.rank() }
