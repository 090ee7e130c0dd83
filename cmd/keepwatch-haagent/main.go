// Command keepwatch-haagent is the HA agent as a program of its own, small enough to stay when everything else has to
// go: it is what an operator runs instead of keepalived. It is two processes, the agent and the parent that carries
// out its testament. This package owns flags, signals, exit codes and the joining of the two; it decides nothing that
// haagent owns. 'keepwatch haagent' becomes it, 'keepwatch up' starts it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"keepwatch/haagent/supervise"
	"keepwatch/internal/conf"
	"keepwatch/internal/resident"
)

// version is set by the linker.
var version = "unknown"

// The exit codes.
const (
	exitFailed  = 1
	exitRefused = 2 // the command line, the configuration or the privileges are wrong: starting again changes nothing
)

// errRefused marks what ends in exitRefused.
var errRefused = errors.New("refused")

// asAgent is the first argument of the process that is the agent. Its parent gives it.
const asAgent = "agent"

// arguments are those that both processes have.
type arguments struct {
	config, data string
}

func main() {
	debug.SetGCPercent(resident.GCPercent)
	// With a second processor to run on, every packet wakes a second thread up to look for work that is done already:
	// twice the CPU time for the same advertisements, and none of them sooner.
	runtime.GOMAXPROCS(1)
	args, run := os.Args[1:], runParent
	if len(args) > 0 && args[0] == asAgent {
		args, run = args[1:], runAgent
		// Started by /proc/self/exe, it would be called exe.
		_ = os.WriteFile("/proc/self/comm", []byte("keepwatch-haagent"), 0) // a name for people, nothing else
	}
	a, err := parse(args)
	if err == nil {
		err = run(a)
	}
	os.Exit(exitCode(err))
}

// exitCode says on standard error what went wrong, unless another process has.
func exitCode(err error) int {
	var child *supervise.ExitError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &child):
		return child.Status
	case errors.Is(err, errRefused):
		fmt.Fprintln(os.Stderr, "keepwatch-haagent:", errors.Unwrap(err))
		return exitRefused
	}
	fmt.Fprintln(os.Stderr, "keepwatch-haagent:", err)
	return exitFailed
}

// refused is an error that ends in exitRefused, in its own words.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

func (refusal) Is(target error) bool { return target == errRefused }

func parse(args []string) (a arguments, err error) {
	f := flag.NewFlagSet("keepwatch-haagent", flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), `keepwatch-haagent runs VRRP, virtual addresses and the proxy of this host, as haagent of the configuration file says.
It needs CAP_NET_ADMIN and CAP_NET_RAW. SIGHUP reads the file again, SIGTERM hands over and ends.

`)
		f.PrintDefaults()
	}
	f.StringVar(&a.config, "config", os.Getenv(conf.EnvConfig), "configuration `file` (YAML)")
	data := os.Getenv(conf.EnvData)
	if data == "" {
		data = "./data"
	}
	f.StringVar(&a.data, "data", data, "data `folder`")
	tell := f.Bool("version", false, "print the version and end")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return a, err
		}
		os.Exit(exitRefused) // flag has said it
	}
	if f.NArg() > 0 {
		return a, refusal{fmt.Errorf("%.60q: there are no arguments but flags, see --help", f.Arg(0))}
	}
	if *tell {
		fmt.Println("keepwatch-haagent", version)
		return a, flag.ErrHelp
	}
	return a, nil
}
