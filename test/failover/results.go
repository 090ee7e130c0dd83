package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// journal is the results file: a JSON line a trial, so that a long run may be done in pieces.
type journal struct {
	mu sync.Mutex
	f  *os.File
}

func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the results: %w", err)
	}
	return &journal{f: f}, nil
}

func (j *journal) add(r result) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.f.Write(append(line, '\n'))
	return err
}

// readResults reads results files.
func readResults(paths []string) (all []result, err error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read results: %w", err)
		}
		lines := bufio.NewScanner(f)
		for n := 1; lines.Scan(); n++ {
			var r result
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				_ = f.Close()
				return nil, fmt.Errorf("cannot read results: %s line %d: %w", path, n, err)
			}
			all = append(all, r)
		}
		err = lines.Err()
		_ = f.Close()
		if err != nil {
			return nil, fmt.Errorf("cannot read results: %s: %w", path, err)
		}
	}
	return all, nil
}

// cell is what the trials of one case, mode and system found.
type cell struct {
	n                int
	median, p95, max float64 // ms without answer
	failedMedian     float64
	failedMax, total int
	trials           int // with any failed request
}

func (c *cell) add(gaps []float64, failed []int) {
	slices.Sort(gaps)
	slices.Sort(failed)
	c.n = len(gaps)
	c.median, c.p95, c.max = median(gaps), gaps[rank(c.n, 0.95)], gaps[c.n-1]
	numbers := make([]float64, len(failed))
	for i, f := range failed {
		numbers[i] = float64(f)
		c.total += f
		if f > 0 {
			c.trials++
		}
	}
	c.failedMedian, c.failedMax = median(numbers), failed[c.n-1]
}

// rank is the index of a quantile in n sorted values: the smallest that at least that part of them does not exceed.
func rank(n int, q float64) int { return max(0, int(math.Ceil(q*float64(n)))-1) }

// median of sorted values.
func median(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// row names a row of the table: a case, or what a freeze costs besides its return.
type row struct {
	name, title string
	freeze      bool
}

func rows() (all []row) {
	for _, sc := range scenarios {
		if sc.freeze > 0 {
			all = append(all, row{sc.name, "agent stopped 5 s: while it stands still", true})
		}
		all = append(all, row{sc.name, sc.title, false})
	}
	return all
}

// collect makes the cell of a row; n is 0 when there are no trials.
func collect(all []result, of row, mode, system string) (c cell) {
	var gaps []float64
	var failed []int
	for _, r := range all {
		if r.Case != of.name || r.Mode != mode || r.System != system {
			continue
		}
		if of.freeze {
			gaps, failed = append(gaps, r.FreezeGapMS), append(failed, r.FreezeFailed)
		} else {
			gaps, failed = append(gaps, r.GapMS), append(failed, r.Failed)
		}
	}
	if len(gaps) > 0 {
		c.add(gaps, failed)
	}
	return c
}

// number has three significant digits below 1000.
func number(v float64) string {
	switch {
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

var systems = []string{"keepwatch", "keepalived"}

// render writes the tables: the two of all cells first, then every number.
func render(w io.Writer, all []result) {
	overview(w, all, "Time without answer, median (95th percentile), ms", func(c cell) string {
		return number(c.median) + " (" + number(c.p95) + ")"
	})
	overview(w, all, "Failed requests, all trials (trials with any)", func(c cell) string {
		return fmt.Sprintf("%d (%d of %d)", c.total, c.trials, c.n)
	})
	fmt.Fprint(w, "All numbers: time without answer in ms, then failed requests of a trial.\n\n")
	fmt.Fprint(w, "| case | mode | system | n | median | p95 | max | failed: median | max | total | trials with any |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, of := range rows() {
		for _, m := range modes {
			for _, system := range systems {
				if c := collect(all, of, m.name, system); c.n > 0 {
					fmt.Fprintf(w, "| %s | %s | %s | %d | %s | %s | %s | %g | %d | %d | %d |\n", of.title, m.title(), system,
						c.n, number(c.median), number(c.p95), number(c.max), c.failedMedian, c.failedMax, c.total, c.trials)
				}
			}
		}
	}
}

func overview(w io.Writer, all []result, title string, text func(cell) string) {
	fmt.Fprintf(w, "%s\n\n| case | |", title)
	for _, m := range modes {
		fmt.Fprintf(w, " %s |", m.title())
	}
	fmt.Fprint(w, "\n|---|---|")
	for range modes {
		fmt.Fprint(w, "--:|")
	}
	fmt.Fprintln(w)
	for _, of := range rows() {
		for _, system := range systems {
			line, any := "", false
			for _, m := range modes {
				one := "–"
				if c := collect(all, of, m.name, system); c.n > 0 {
					one, any = text(c), true
				}
				line += " " + one + " |"
			}
			if any {
				fmt.Fprintf(w, "| %s | %s |%s\n", of.title, system, line)
			}
		}
	}
	fmt.Fprintln(w)
}

// build names the agent's program by its content, so that a table does not mix two of them unseen.
func build(program string) (string, error) {
	sum := sha256.New()
	for _, name := range []string{program, filepath.Join(filepath.Dir(program), "keepwatch-haagent")} {
		f, err := os.Open(name)
		if err != nil {
			if name != program && os.IsNotExist(err) {
				continue
			}
			return "", fmt.Errorf("cannot read the agent's program: %w", err)
		}
		_, err = io.Copy(sum, f)
		_ = f.Close()
		if err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%x", sum.Sum(nil)[:6]), nil
}
