package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// masterIsDown is Active_Down_Timer: the wait for the master is over.
func (m *machine) masterIsDown() {
	if late := m.now.Sub(m.downAt); !m.waited && late > max(m.masterInterval, 100*time.Millisecond) {
		// This process stood still, and maybe the machine with its network: one more interval tells whether the
		// master is as silent as it seems.
		m.waited = true
		m.awaitMaster(m.masterInterval + m.Config.skew(m.Priority, m.masterInterval))
		return
	}
	if m.replacesSilent() {
		if q := m.Config.Quorum; q != nil && q.Up == q.Reverse {
			m.tell(netip.Addr{}, NoticeQuorum, "does not take over from a silent master without quorum: %s", q.text())
			m.awaitMaster(m.masterInterval)
			return
		}
		if m.Config.Fence && m.Master.Address.IsValid() {
			m.fencing, m.downAt = true, time.Time{}
			m.do(Fence{Master: m.Master.Address})
			return
		}
	}
	m.toMaster(m.whyTakeOver())
}

// replacesSilent tells whether the master to be replaced neither said farewell nor lives with a lower priority.
func (m *machine) replacesSilent() bool {
	return !m.left && (!m.lower.Address.IsValid() || m.silent(m.lower))
}

// silent tells whether a router has not been heard for longer than a master may be silent.
func (m *machine) silent(p Peer) bool {
	return m.now.Sub(p.Heard) > time.Duration(m.Config.DownAfter)*p.Interval
}

func (m *machine) fenced(in Fenced) {
	if !m.fencing {
		return // the master was heard again meanwhile
	}
	m.fencing = false
	if !in.Dead {
		m.tell(m.Master.Address, NoticeFence, "does not take over from %s, whose death is not confirmed: %s", m.Master.Address, in.Detail)
		m.awaitMaster(m.Config.masterDown(m.Priority, m.masterInterval))
		return
	}
	m.toMaster(m.whyTakeOver() + "; fenced: " + in.Detail)
}

// peerLost shortens the wait for a master that another signal has lost. The signal's own skew keeps the order of
// succession where several routers hear it.
func (m *machine) peerLost(in PeerLost) {
	if m.Phase != Backup || m.Master.Address != in.Peer || m.downAt.IsZero() {
		return
	}
	wait := time.Duration(256-int(m.Config.turn(m.Priority))) * in.Skew / 256
	if at := m.now.Add(wait); at.Before(m.downAt) {
		m.lost = in.Detail
		m.awaitMaster(wait)
	}
}

// heardAsBackup is what RFC 9568 section 6.4.2 says of an advertisement.
func (m *machine) heardAsBackup(src netip.Addr, a *Advert) {
	m.waited = false
	switch {
	case a.Priority == 0:
		m.masterLeaves(src, a)
	case a.Priority >= m.Priority || m.Aside != "":
		m.preemptAt = time.Time{}
		m.follow(src, a)
	case !m.preempts():
		m.follow(src, a)
	default:
		m.Counters.Discarded++
		m.lowered = 0
		if m.Master.Address == src {
			m.lowered = m.Master.Priority
		} else if m.lower.Address == src {
			m.lowered = m.lower.Priority
		}
		if m.lowered <= a.Priority {
			m.lowered = 0
		}
		if m.lower.Address != src {
			m.do(Succeed{From: src})
		}
		m.lower = Peer{Address: src, Priority: a.Priority, Interval: a.Interval, Heard: m.now}
	}
}

// masterLeaves is an advertisement of priority 0. One that comes from somebody else than the followed master is the
// last word of a router that has already been succeeded.
func (m *machine) masterLeaves(src netip.Addr, a *Advert) {
	if m.Master.Address.IsValid() && m.Master.Address != src && !m.left {
		return
	}
	m.left, m.fencing = true, false
	m.lower = Peer{}
	m.Master = Peer{Address: src, Priority: m.Master.Priority, Interval: a.Interval, Heard: m.now}
	m.do(Succeed{From: src})
	m.awaitMaster(m.Config.skew(m.Priority, m.masterInterval))
}

// preempts tells whether a master of lower priority is to be ignored until the timer ends its time. It starts the
// preempt delay when it meets such a master first.
func (m *machine) preempts() bool {
	if m.Config.Priority == PriorityOwner {
		return true
	}
	if m.Config.NoPreempt {
		return false
	}
	if m.Config.PreemptDelay == 0 {
		return true
	}
	if m.preemptAt.IsZero() {
		m.preemptAt = m.now.Add(m.Config.PreemptDelay)
	}
	return !m.now.Before(m.preemptAt)
}

func (m *machine) follow(src netip.Addr, a *Advert) {
	if m.Master.Address != src {
		m.do(Succeed{From: src})
	}
	m.Master = Peer{Address: src, Priority: a.Priority, Interval: a.Interval, Heard: m.now}
	m.lower, m.lowered, m.left, m.lost, m.fencing = Peer{}, 0, false, "", false
	m.masterInterval = a.Interval
	m.awaitMaster(m.Config.masterDown(m.Priority, a.Interval))
}

// whyTakeOver is the reason of a backup whose timer ended.
func (m *machine) whyTakeOver() string {
	lower := m.lower.Address.IsValid() && !m.silent(m.lower)
	switch {
	case lower && m.lowered != 0:
		return fmt.Sprintf("%s lowered its priority from %d to %d, ours is %d", m.lower.Address, m.lowered, m.lower.Priority, m.Priority)
	case lower:
		return m.because(fmt.Sprintf("our priority %d is higher than %d of master %s (preemption)", m.Priority, m.lower.Priority, m.lower.Address))
	case m.left && !m.Master.Address.IsValid():
		return "nobody else took the addresses"
	case m.left:
		return fmt.Sprintf("%s gave the addresses up (priority 0)", m.Master.Address)
	case m.Master.Address.IsValid() && m.lost != "":
		return fmt.Sprintf("%s, heard no advertisement from %s (priority %d) for %s", m.lost, m.Master.Address, m.Master.Priority, seconds(m.now.Sub(m.Master.Heard)))
	case m.Master.Address.IsValid():
		return fmt.Sprintf("heard no advertisement from %s (priority %d) for %s", m.Master.Address, m.Master.Priority, seconds(m.now.Sub(m.Master.Heard)))
	}
	return fmt.Sprintf("heard no advertisement for %s", seconds(m.now.Sub(m.Since)))
}
