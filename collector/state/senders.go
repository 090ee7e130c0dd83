package state

import "keepwatch/collector/frame"

// Beat opens a beat of a sender that is known; the error is of the frame package.
func (s *State) Beat(datagram []byte) (frame.Beat, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opener.Beat(datagram)
}

// SenderOf gives the host that a boot is of, when a frame of it has been opened.
func (s *State) SenderOf(boot frame.Boot) (cluster, host string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opener.SenderOf(boot)
}

// Senders appends what must be remembered of senders over a restart.
func (s *State) Senders(dst []frame.Sender) []frame.Sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opener.Senders(dst)
}

// Remember takes back what Senders gave before a restart. Call it before the first Native.
func (s *State) Remember(senders []frame.Sender) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opener.Remember(senders)
}
