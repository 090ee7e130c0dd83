package track

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"keepwatch/haagent/script"
	"keepwatch/internal/conf"
)

// maxSaid bounds what a detail quotes of a program's output, in runes.
const maxSaid = 120

// lookScript runs the program. One that takes too long is judged when its time is over, not when it has ended.
func lookScript(c conf.Track, scripts *script.Runner) looker {
	return func(ctx context.Context, verdict func(good bool, detail string)) {
		judged := false
		judge := func(good bool, detail string) {
			if !judged {
				judged = true
				verdict(good, detail)
			}
		}
		limit := timeout(c)
		res, err := scripts.Run(ctx, script.Command{
			Argv: c.Script, User: c.User, Timeout: limit,
			Overdue: func() { judge(false, fmt.Sprintf("no answer within %s", limit)) },
		})
		switch said := firstLine(res.Output); {
		case err != nil:
			judge(false, err.Error())
		case res.ExitCode < 0:
			judge(false, "ended by a signal"+said)
		default:
			judge(res.ExitCode == 0, fmt.Sprintf("exit status %d%s", res.ExitCode, said))
		}
	}
}

// firstLine is what a program said, fit to be shown: ": " before it, nothing when it said nothing.
func firstLine(output string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(output), "\n")
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(line) {
		if n++; n > maxSaid {
			b.WriteString("…")
			break
		}
		if !unicode.IsPrint(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return ""
	}
	return ": " + b.String()
}
