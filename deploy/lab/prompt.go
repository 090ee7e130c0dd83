package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const commandHelp = `Commands:
  status          who holds the address, how the client fares
  kill lb1        kill -9 the agent and HAProxy of a node
  stop-proxy lb1  kill HAProxy alone; the agent starts it again
  stop-web web1   stop a web server
  cut lb1         pull a host's cable
  heal            mend cables, start what was stopped or killed
  mail, sms       what arrived so far
  failover        the story of make lab SCENARIO=failover
  help, quit
`

// prompt takes commands until the input or ctx ends.
func (l *lab) prompt(ctx context.Context, in io.Reader) error {
	fmt.Print(commandHelp)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			lines <- s.Text()
		}
	}()
	for {
		fmt.Print("lab> ")
		select {
		case <-ctx.Done():
			fmt.Println()
			return nil
		case line, more := <-lines:
			if !more {
				return nil
			}
			f := strings.Fields(line)
			if len(f) == 0 {
				continue
			}
			if f[0] == "quit" || f[0] == "exit" {
				return nil
			}
			if err := l.command(ctx, f[0], strings.Join(f[1:], " ")); err != nil {
				fmt.Println("lab:", err)
			}
		}
	}
}

func (l *lab) command(ctx context.Context, name, arg string) error {
	switch name {
	case "status":
		l.status()
	case "kill":
		return l.onNode(arg, "lb", l.killNode)
	case "stop-proxy":
		return l.onNode(arg, "lb", func(h string) error { return signalAll(h, "haproxy", unix.SIGKILL) })
	case "stop-web":
		return l.onNode(arg, "web", func(h string) error {
			l.mu.Lock()
			p := l.running[h+"-nginx"]
			l.mu.Unlock()
			p.end(5 * time.Second)
			return nil
		})
	case "cut":
		return l.onNode(arg, "", func(h string) error { return setLink(h, false) })
	case "heal":
		return l.heal()
	case "mail":
		printAll(l.mail.since(time.Time{}))
	case "sms":
		printAll(l.sms.since(time.Time{}))
	case "failover":
		return l.failover(ctx)
	case "help":
		fmt.Print(commandHelp)
	default:
		return fmt.Errorf("unknown command %q; help lists them", name)
	}
	return nil
}

func (l *lab) onNode(host, kind string, do func(host string) error) error {
	if address(host) == "" || !strings.HasPrefix(host, kind) {
		return fmt.Errorf("name a host, as %s1", cmp.Or(kind, "lb"))
	}
	return do(host)
}

func (l *lab) status() {
	ok, failed := l.client.counts()
	now := time.Now()
	fmt.Printf("%s is on %v; the client: %d answers, %d failures, longest wait of the last minute %d ms\n",
		vip, holders(), ok, failed, l.client.longestGap(now.Add(-time.Minute), now).Milliseconds())
}

func printAll(msgs []message) {
	if len(msgs) == 0 {
		fmt.Println("nothing arrived")
	}
	for _, m := range msgs {
		fmt.Printf("%s to %s: %s\n%s\n", m.at.Format("15:04:05"), m.to, m.subject, indent(m.text))
	}
}
