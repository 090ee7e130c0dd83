package outbox

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"time"

	"keepwatch/alerter/delivery"
	"keepwatch/alerter/message"
)

const (
	firstDelay = 5 * time.Second
	maxDelay   = 10 * time.Minute
	giveUpAt   = 24 * time.Hour // after which nobody wants to be told any more
)

// verdict is what becomes of a notification after a try.
type verdict struct {
	status  string // as notifications.status
	outcome delivery.Outcome
	delay   time.Duration // until the next try
	reason  string
}

// judge decides after try number try, counted from 1, of a notification that is so old. A test is tried once: who
// asked for it waits for the answer.
func judge(id int64, kind message.Kind, try int, age time.Duration, r delivery.Result) verdict {
	switch {
	case r.Outcome == delivery.Sent:
		return verdict{status: "sent", outcome: delivery.Sent}
	case r.Outcome == delivery.GiveUp, kind == message.Test:
		return verdict{status: "failed", outcome: delivery.GiveUp, reason: r.Reason}
	}
	delay := backOff(id, try)
	if age+delay > giveUpAt {
		return verdict{status: "failed", outcome: delivery.GiveUp, reason: fmt.Sprintf("given up after %d tries in %d h: %s", try, int(giveUpAt.Hours()), r.Reason)}
	}
	return verdict{status: "queued", outcome: delivery.Retry, delay: delay, reason: r.Reason}
}

// backOff doubles from try to try. A fifth is added or taken by a hash of id and try, so that what failed together is
// not tried together, and each notification's times are repeatable.
func backOff(id int64, try int) time.Duration {
	delay := maxDelay
	if try < 8 { // 5 s << 7 is more than the most
		delay = min(firstDelay<<(max(try, 1)-1), maxDelay)
	}
	h := fnv.New32a()
	_, _ = h.Write(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, uint64(id)), uint64(try)))
	spread := float64(h.Sum32()%1000)/1000*0.4 - 0.2
	return time.Duration(float64(delay) * (1 + spread)).Round(time.Millisecond)
}
