package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/internal/batch"
	"keepwatch/metric"
)

const (
	askEvery   = 20 * time.Millisecond
	askTimeout = time.Second
)

// runClient asks the URL every 20 ms on a new connection, writes each outcome to standard output and multicasts its
// success rate each second, sealed as any collector's frame.
func runClient(args []string) error {
	fs := flag.NewFlagSet("client", flag.ContinueOnError)
	url := fs.String("url", "", "what to ask")
	key := fs.String("key", "", "file of the frame key")
	if err := fs.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	tell, err := newTeller(*key)
	if err != nil {
		return err
	}
	defer tell.conn.Close()
	c := &http.Client{Timeout: askTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	var (
		mu         sync.Mutex
		ok, failed int
		out        = bufio.NewWriter(os.Stdout)
		wg         sync.WaitGroup
	)
	defer wg.Wait()
	ask, second := time.NewTicker(askEvery), time.NewTicker(time.Second)
	defer ask.Stop()
	defer second.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ask.C:
			wg.Go(func() { // at most askTimeout/askEvery at once
				start := time.Now()
				good := get(ctx, c, *url)
				mu.Lock()
				defer mu.Unlock()
				if good {
					ok++
				} else {
					failed++
				}
				fmt.Fprintf(out, "%d %d %t\n", start.UnixMicro(), time.Now().UnixMicro(), good)
				out.Flush()
			})
		case now := <-second.C:
			mu.Lock()
			err := tell.tell(now, ok, failed)
			mu.Unlock()
			if err != nil {
				fmt.Fprintln(os.Stderr, "client: cannot tell the cluster:", err)
			}
		}
	}
}

func get(ctx context.Context, c *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := c.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	return err == nil && res.StatusCode == http.StatusOK
}

// teller sends the client's own series.
type teller struct {
	conn            net.Conn
	sealer          *frame.Sealer
	good, bad, rate *metric.Series
	lastOK, lastBad int
}

func newTeller(keyFile string) (*teller, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	k, err := frame.ParseKey(1, string(text))
	if err != nil {
		return nil, err
	}
	ring, err := frame.NewKeyring(k)
	if err != nil {
		return nil, err
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	sealer, err := frame.NewSealer(frame.SealerOptions{
		Keys: ring, Cluster: "lab", Host: "client", Payload: 1400,
		Boot: frame.Boot{Start: time.Now().UnixMilli(), Random: binary.BigEndian.Uint64(random[:])},
	})
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("udp", "239.2.11.72:8660")
	if err != nil {
		return nil, err
	}
	requests := func(outcome string) *metric.Series {
		return metric.MustSeries("lab", "client", "lab_client_requests_total", []metric.Label{{Name: "outcome", Value: outcome}}, metric.NoUnit, metric.Counter)
	}
	return &teller{
		conn: conn, sealer: sealer, good: requests("ok"), bad: requests("failed"),
		rate: metric.MustSeries("lab", "client", "lab_client_success_ratio", nil, metric.Ratio, metric.Gauge),
	}, nil
}

func (t *teller) tell(now time.Time, ok, failed int) (err error) {
	ms := now.UnixMilli()
	b := batch.Batch{Samples: []metric.Sample{
		{Series: t.good, Time: ms, Value: float64(ok)},
		{Series: t.bad, Time: ms, Value: float64(failed)},
	}}
	if n := ok + failed - t.lastOK - t.lastBad; n > 0 {
		b.Samples = append(b.Samples, metric.Sample{Series: t.rate, Time: ms, Value: float64(ok-t.lastOK) / float64(n)})
	}
	t.lastOK, t.lastBad = ok, failed
	t.sealer.Seal(&b, frame.Stamp{Now: now, Interval: time.Second}, func(d []byte) {
		if _, e := t.conn.Write(d); e != nil {
			err = e
		}
	})
	return err
}

// clientLog reads what the client writes and answers how its requests went.
type clientLog struct {
	mu         sync.Mutex
	rest       []byte
	answered   []int64 // µs, when each answer came, in order of arrival
	ok, failed int
}

// Write takes lines "start end good", times in µs.
func (c *clientLog) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest = append(c.rest, p...)
	for {
		line, rest, found := bytes.Cut(c.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		c.rest = rest
		f := strings.Fields(string(line))
		if len(f) != 3 {
			continue
		}
		end, _ := strconv.ParseInt(f[1], 10, 64)
		if f[2] == "true" {
			c.ok++
			c.answered = append(c.answered, end)
		} else {
			c.failed++
		}
	}
}

func (c *clientLog) counts() (ok, failed int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ok, c.failed
}

// longestGap is the longest time without an answer since a moment, the running one included.
func (c *clientLog) longestGap(since, now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, longest := since.UnixMicro(), int64(0)
	if len(c.answered) > 0 { // what lies before the first answer is the lab's own start
		last = max(last, c.answered[0])
	}
	for _, t := range c.answered {
		if t >= last {
			longest = max(longest, t-last)
			last = t
		}
	}
	return time.Duration(max(longest, now.UnixMicro()-last)) * time.Microsecond
}
