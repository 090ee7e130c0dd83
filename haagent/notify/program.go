package notify

import (
	"context"
	"strings"

	"keepwatch/haagent/script"
)

// runPrograms runs the programs of one instance or group, one after the other.
func (n *Notifier) runPrograms(l life, q *queue[event]) {
	for {
		e, ok, more := q.take()
		switch {
		case ok:
			n.runEvent(l, &e)
		case !more:
			return
		default:
			<-q.bell
		}
	}
}

func (n *Notifier) runEvent(l life, e *event) {
	ctx := l.others
	if e.state == StateStop {
		ctx = l.stop
	}
	for _, argv := range commands(e) {
		if ctx.Err() != nil {
			n.dropped.Add(1)
			return
		}
		n.runProgram(ctx, e, argv)
	}
}

func (n *Notifier) runProgram(ctx context.Context, e *event, argv []string) {
	log := n.opt.Log.With("program", argv[0], "of", e.name, "state", e.state)
	res, err := n.opt.Scripts.Run(ctx, script.Command{Argv: argv, Timeout: programTimeout})
	switch {
	case err != nil && ctx.Err() != nil:
		log.Warn("the notify program was ended with the agent")
	case err != nil:
		log.Error("the notify program did not run", "err", err)
	case res.TimedOut:
		log.Error("the notify program was ended: it took too long", "limit", programTimeout)
	case res.ExitCode != 0:
		first, _, _ := strings.Cut(res.Output, "\n")
		log.Warn("the notify program failed", "status", res.ExitCode, "output", first)
	default:
		log.Debug("the notify program has run", "took", res.Took)
	}
}
