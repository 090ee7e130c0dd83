package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"time"
)

// awaitAnswer returns when the worker answers on the stats socket. A socket that an earlier process left does not.
func (p *Proxy) awaitAnswer(ctx context.Context, c *child) error {
	for {
		if text, err := ask(ctx, p.files.Stats, "show info\n"); err == nil && len(text) > 0 {
			return nil
		}
		select {
		case <-c.exited:
			return c.result()
		case <-ctx.Done():
			return fmt.Errorf("haproxy does not answer on %s: %w", p.files.Stats, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ask sends one command and reads the whole answer, at most 1 MiB, within five seconds.
func ask(ctx context.Context, socket, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, command); err != nil {
		return "", err
	}
	// The master answers any number of commands on one connection: it closes when no more can come.
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(conn, 1<<20))
	return string(b), err
}

// In HAProxy 2.6 the master's "reload" answers nothing; its "show proc" then counts the reload, or the failure:
//
//	#<PID>          <type>          <reloads>       <uptime>        <version>
//	4006            master          2 [failed: 1]   0d00h00m05s     2.6.12
var masterLine = regexp.MustCompile(`(?m)^\d+\s+master\s+(\d+)(?:\s+\[failed: (\d+)\])?`)

func parseReloads(showProc string) (reloads, failed int, ok bool) {
	m := masterLine.FindStringSubmatch(showProc)
	if m == nil {
		return 0, 0, false
	}
	reloads, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, 0, false
	}
	failed, _ = strconv.Atoi(m[2]) // absent: none
	return reloads, failed, true
}

// askMaster asks the master process until it answers or ctx ends: it starts itself anew twice in a reload, and
// between these nobody listens on its socket.
func (p *Proxy) askMaster(ctx context.Context, command string) (string, error) {
	for {
		text, err := ask(ctx, p.files.Master, command)
		if err == nil {
			return text, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("cannot ask the proxy's master: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// reloadMaster asks for a reload and waits for its proof.
func (p *Proxy) reloadMaster(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	before, err := p.askMaster(ctx, "show proc\n")
	if err != nil {
		return err
	}
	was, wasFailed, ok := parseReloads(before)
	if !ok {
		return fmt.Errorf("cannot read what the proxy's master says: %.200q", before)
	}
	if _, err := ask(ctx, p.files.Master, "reload\n"); err != nil {
		p.opt.Log.Debug("the proxy's master closed the connection while reloading", "err", err)
	}
	for {
		text, err := p.askMaster(ctx, "show proc\n")
		if err != nil {
			return fmt.Errorf("haproxy does not confirm the reload: %w", err)
		}
		now, nowFailed, ok := parseReloads(text)
		switch {
		case ok && nowFailed > wasFailed:
			return fmt.Errorf("haproxy could not load its new configuration and goes on with the old one; its log says why")
		case ok && now > was:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("haproxy does not confirm the reload: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
