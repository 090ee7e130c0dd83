// Package delivery is what a channel is given to send and what it answers, and how channels read their secrets. It
// never sends or stores. The outbox
// hands Messages to the mail and SMS channels and decides by their Result.
package delivery

import "fmt"

// Message is one notification to one person.
type Message struct {
	ID      int64  // of the notification
	Key     string // the same for each try: by it the far side can tell a message sent twice
	Alert   int64  // 0: none
	To      string // mail address or phone number
	Subject string // mail only
	Text    string
	HTML    string // mail only
}

// Outcome is what became of a try.
type Outcome string

// The outcomes, as notification_tries has them.
const (
	Sent   Outcome = "sent"
	Retry  Outcome = "retry"  // may work later
	GiveUp Outcome = "failed" // will not work later either
)

// Result is the answer to a try. Reason says in one line what went wrong and, where a person can mend it, how; it
// holds no secret.
type Result struct {
	Outcome Outcome
	Reason  string
}

// OK is the result of a message that the far side took.
func OK() Result { return Result{Outcome: Sent} }

// Later is the result of a try that may work later.
func Later(format string, args ...any) Result {
	return Result{Outcome: Retry, Reason: fmt.Sprintf(format, args...)}
}

// Never is the result of a try that will not work later either.
func Never(format string, args ...any) Result {
	return Result{Outcome: GiveUp, Reason: fmt.Sprintf(format, args...)}
}
