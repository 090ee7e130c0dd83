package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// longestOutage is the longest time without an answer that the failover story accepts. The timers ask for
// 3 × 100 ms + skew of the backup (61 ms); the rest is room for a loaded machine.
const longestOutage = 2 * time.Second

// failover is the story: the master dies with its proxy, the address moves, the people are told, the node heals.
func (l *lab) failover(ctx context.Context) error {
	say("waiting for lb1 to hold %s, for answers and for the cluster in the web app", vip)
	if err := l.settled(ctx, "lb1"); err != nil {
		return fmt.Errorf("the cluster did not settle: %w", err)
	}
	began := time.Now()
	okBefore, failedBefore := l.client.counts()
	say("killing the agent and HAProxy on lb1 (kill -9)")
	if err := l.killNode("lb1"); err != nil {
		return err
	}
	if err := until(ctx, func() bool { return slices.Contains(holders(), "lb2") }); err != nil {
		return fmt.Errorf("lb2 did not take the address: %w", err)
	}
	say("lb2 holds %s after %d ms", vip, time.Since(began).Milliseconds())
	if err := until(ctx, func() bool { h := holders(); return len(h) == 1 && h[0] == "lb2" }); err != nil {
		return fmt.Errorf("the dead node keeps the address: %w", err)
	}
	say("lb1, which nobody cleaned up, lost it after %d ms", time.Since(began).Milliseconds())
	if err := until(ctx, func() bool { return l.told(began, "lb1", false) }); err != nil {
		return fmt.Errorf("mail and SMS did not arrive: %w", err)
	}
	l.show(began)
	gap := l.client.longestGap(began, time.Now())
	ok, failed := l.client.counts()
	say("the client was without an answer for %d ms; %d of %d requests failed", gap.Milliseconds(), failed-failedBefore, ok+failed-okBefore-failedBefore)

	healed := time.Now()
	say("healing lb1")
	if err := l.startAgent("lb1"); err != nil {
		return err
	}
	if err := until(ctx, func() bool { h := holders(); return len(h) == 1 && h[0] == "lb1" }); err != nil {
		return fmt.Errorf("lb1 did not take the address back: %w", err)
	}
	if err := until(ctx, func() bool { return l.told(healed, "lb1", true) }); err != nil {
		return fmt.Errorf("the recovery message did not arrive: %w", err)
	}
	l.show(healed)
	back := l.client.longestGap(healed, time.Now())
	say("going back cost the client %d ms", back.Milliseconds())
	if gap > longestOutage {
		return fmt.Errorf("verdict: FAILED, %d ms without an answer, %d are accepted", gap.Milliseconds(), longestOutage.Milliseconds())
	}
	say("verdict: PASSED, %d ms without an answer, the right people were told, the address is on one node", gap.Milliseconds())
	return nil
}

// settled waits until one node holds the address, every request of a second was answered, both nodes' agents are
// seen by the monitoring node, and the thresholds have judged them.
func (l *lab) settled(ctx context.Context, master string) error {
	if err := until(ctx, func() bool { h := holders(); return len(h) == 1 && h[0] == master }); err != nil {
		return errors.Join(err, fmt.Errorf("%v hold the address", holders()))
	}
	if err := until(ctx, func() bool {
		now := time.Now()
		return l.client.longestGap(now.Add(-time.Second), now) < 200*time.Millisecond
	}); err != nil {
		return errors.Join(err, errors.New("the client gets no answers"))
	}
	var ha struct {
		Instances []struct {
			Host    string
			State   string
			AgentUp bool `json:"agent_up"`
		}
	}
	err := until(ctx, func() bool {
		if l.ask(ctx, "GET", "/ha", nil, &ha) != nil {
			return false
		}
		up := 0
		for _, i := range ha.Instances {
			if i.AgentUp && (i.State == "master") == (i.Host == master) {
				up++
			}
		}
		return up == 2
	})
	if err != nil {
		return errors.Join(err, fmt.Errorf("the monitoring node sees %+v", ha.Instances))
	}
	return nil
}

// told reports whether a mail and a short message about a host have come since a moment.
func (l *lab) told(since time.Time, host string, recovery bool) bool {
	about := func(msgs []message) bool {
		return slices.ContainsFunc(msgs, func(m message) bool {
			text := strings.ToUpper(m.subject + " " + m.text)
			return strings.Contains(text, strings.ToUpper(host)) && (strings.Contains(text, "HA AGENT") || strings.Contains(text, "HA_UP")) &&
				(strings.Contains(text, "RECOVERED") || strings.Contains(text, "OK")) == recovery
		})
	}
	return about(l.mail.since(since)) && about(l.sms.since(since))
}

func (l *lab) show(since time.Time) {
	for _, m := range l.mail.since(since) {
		say("mail to %s: %s\n%s", m.to, m.subject, indent(m.text))
	}
	for _, m := range l.sms.since(since) {
		say("SMS to %s: %s", m.to, m.text)
	}
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")), "\n", "\n    ")
}

// agentComm is how the kernel calls the processes of the HA agent: the first 15 bytes of keepwatch-haagent.
const agentComm = "keepwatch-haage"

// killNode ends agent and proxy at once, as a crash of the node's software does.
func (l *lab) killNode(host string) error {
	l.mu.Lock()
	p := l.running[host+"-haagent"]
	l.mu.Unlock()
	if p == nil || !p.alive() {
		return fmt.Errorf("no agent runs on %s", host)
	}
	pids := append(named(host, agentComm), named(host, "haproxy")...) // before the agent goes: its death takes the proxy along
	p.kill()                                                          // the agent's parent first: it would carry out the agent's testament
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
	return nil
}

// heal starts what is not running and mends the cables.
func (l *lab) heal() error {
	var errs []error
	for _, h := range hosts {
		errs = append(errs, setLink(h.name, true))
	}
	dead := func(name string) bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.running[name] == nil || !l.running[name].alive()
	}
	for _, h := range []string{"lb1", "lb2"} {
		if dead(h + "-haagent") {
			errs = append(errs, l.startAgent(h))
		}
		if dead(h + "-collector") {
			errs = append(errs, l.startCollector(h))
		}
	}
	for _, h := range []string{"web1", "web2"} {
		if dead(h + "-nginx") {
			errs = append(errs, l.startWeb(h))
		}
	}
	return errors.Join(errs...)
}
