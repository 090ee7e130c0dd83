package vrrp

import (
	"fmt"
	"time"
)

// send advertises, unless there is no address left to do it from.
func (m *machine) send(priority uint8) {
	if !m.Source.IsValid() {
		return
	}
	m.Counters.Sent++
	if priority == 0 {
		m.Counters.SentZero++
	}
	m.sentAt = m.now
	m.do(SendAdvert{priority})
}

// toMaster advertises before it touches the interface: the other backups' timers run, the addresses can wait.
func (m *machine) toMaster(reason string) {
	from, serving := m.Master.Address, m.left && m.Master.Address.IsValid()
	if m.lower.Address.IsValid() && !m.silent(m.lower) {
		from, serving = m.lower.Address, true
	}
	m.send(m.Priority)
	if serving {
		m.do(Succeed{From: from, Now: true})
	}
	m.do(TakeAddresses{})
	m.announce(m.Config.Announce.Count)
	m.enter(Master, reason)
	m.Holding, m.releaseAt, m.Aside = true, time.Time{}, ""
	m.masterInterval = m.Config.Interval
	m.advertAt = m.nextAdvert()
	m.bursts = 1
	switch {
	case serving:
		// The predecessor answers for the addresses until it lets them go: who asked meanwhile must hear again.
		m.bursts = 0
		m.announceAt = m.now.Add(m.Config.linger() * 3 / 2)
	case m.Config.Announce.Delay > 0:
		m.announceAt = m.now.Add(m.Config.Announce.Delay)
	default:
		m.refreshLater()
	}
}

func (m *machine) announce(count int) {
	m.announced = m.now
	m.do(Announce{Count: count})
}

// announceAgain follows the first burst: two more, then single messages. Switches and neighbours that lost the
// first one, or learned another's after a split, are right again after the next.
func (m *machine) announceAgain() {
	m.bursts++
	more := m.Config.Announce.Delay > 0
	switch {
	case m.bursts > 3:
		m.announce(1)
		m.refreshLater()
	case m.bursts == 3 || !more:
		m.announce(m.Config.Announce.Count)
		m.refreshLater()
	default:
		m.announce(m.Config.Announce.Count)
		m.announceAt = m.now.Add(time.Duration(3*m.bursts-2) * m.Config.Announce.Delay) // once, then four times
	}
}

func (m *machine) refreshLater() {
	m.bursts = max(m.bursts, 3)
	m.announceAt = time.Time{}
	if m.Config.Announce.Refresh > 0 {
		m.announceAt = m.now.Add(m.Config.Announce.Refresh)
	}
}

// advertise keeps the cadence when it is a little late and starts a new one when it is an interval late: a process
// that was stopped must not send what it missed.
func (m *machine) advertise() {
	late := m.now.Sub(m.advertAt)
	m.advertAt = m.advertAt.Add(m.Config.Interval)
	if late >= m.Config.Interval {
		m.advertAt = m.nextAdvert()
	}
	m.send(m.Priority)
}

// nextAdvert is an interval from now, or the last beat before that: routers of one interval advertise at the same
// moment, so that this host and the others wake up once for all of them.
func (m *machine) nextAdvert() time.Time {
	at := m.now.Add(m.Config.Interval)
	if m.Config.Beat.IsZero() {
		return at
	}
	if over := at.Sub(m.Config.Beat) % m.Config.Interval; over > 0 {
		return at.Add(-over)
	}
	return at
}

// noticeLateness makes a master step down that was silent for as long as the others wait: one of them may serve the
// addresses by now, and two that serve them must not last. It then listens for an interval before it takes part
// again. It comes before anything else, or what waited in the socket would be fought as a rival.
func (m *machine) noticeLateness(asleep time.Duration) {
	if m.Phase != Master || m.sentAt.IsZero() {
		return
	}
	silent := m.now.Sub(m.sentAt) + asleep
	if silent <= time.Duration(m.Config.DownAfter)*m.Config.Interval {
		return
	}
	m.Counters.Stalls++
	text := fmt.Sprintf("the agent stood still for %s: others may have taken the addresses meanwhile", seconds(silent))
	m.do(Notice{Kind: NoticeStall, Text: text})
	m.release()
	m.enter(Backup, text)
	m.awaitMaster(m.Config.Interval + m.Config.skew(m.Priority, m.Config.Interval))
}

// farewell offers the addresses with a word, and keeps serving them until a successor is heard or the longest time
// is over that one may wait. The word is said twice, because a lost one costs the network a full Master_Down.
func (m *machine) farewell() {
	m.send(0)
	m.send(0)
	m.succeeded = false
	m.releaseAt = m.now.Add(m.Config.handoverBound())
}

// successor is what a leaving router does on hearing another one: that one is master.
func (m *machine) successor() {
	if m.Leaving() && !m.succeeded {
		m.lingerOn()
	}
}

// lingerOn lets the requests under way come to an end while the neighbours learn who serves now.
func (m *machine) lingerOn() {
	m.succeeded = true
	m.releaseAt = m.now.Add(m.Config.linger())
}

// letGo ends a handover.
func (m *machine) letGo() {
	if !m.succeeded {
		m.do(Notice{Kind: NoticeNobody, Text: "nobody took the addresses over"})
	}
	m.release()
}

func (m *machine) release() {
	m.releaseAt, m.Holding = time.Time{}, false
	m.do(ReleaseAddresses{})
}

// offer hands the addresses over and takes part in the election for them: whoever has the highest priority now
// comes first. This router still serves and has time: it waits a little longer than its skew, which is hardly more
// than that of a successor of about the same priority, who may be late.
func (m *machine) offer(reason string) {
	m.farewell()
	m.toBackup(reason, m.Config.Interval)
	m.left = true
	m.awaitMaster(m.Config.skew(m.Priority, m.Config.Interval) + m.Config.linger())
	m.releaseAt = m.downAt.Add(m.Config.linger())
}

// stepAside hands the addresses over on an operator's word. Nobody may be there to take them, so they are kept until
// it is clear.
func (m *machine) stepAside(why string) {
	m.Aside = why
	if m.Phase == Master {
		m.leaveWith(why)
	}
}

// leaveWith is a planned end of being master: the addresses stay until a successor serves, and come back to this
// router when none is there.
func (m *machine) leaveWith(reason string) {
	if m.Phase != Master {
		return
	}
	m.farewell()
	m.toBackup(reason, m.Config.Interval)
	m.left = true
	m.releaseAt = m.downAt.Add(m.Config.linger())
}

// follower becomes master with another member of its sync group.
func (m *machine) follower(in groupMaster) {
	if m.Phase == Backup {
		m.toMaster(in.reason)
	}
}
