package collector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"keepwatch/collector/frame"
	"keepwatch/metric"
)

const (
	sendersFile      = "senders.json" // in the data folder
	saveSendersEvery = time.Minute
	maxSendersFile   = 64 << 20 // bytes
)

// savedBoot is a boot on disk, and the highest of its frames. Its random part is text: not every reader of JSON has 64 bits.
type savedBoot struct {
	Start  int64  `json:"start"`
	Random string `json:"random"`
	Top    uint64 `json:"top"`
}

// savedSender is a frame.Sender on disk.
type savedSender struct {
	Cluster string `json:"cluster"`
	Host    string `json:"host"`
	savedBoot
	Heard int64       `json:"heard"`
	Ended []savedBoot `json:"ended,omitempty"`
}

func saveBoot(b frame.Boot, top uint64) savedBoot {
	return savedBoot{b.Start, strconv.FormatUint(b.Random, 16), top}
}

func (b *savedBoot) boot() (frame.Boot, error) {
	random, err := strconv.ParseUint(b.Random, 16, 64)
	return frame.Boot{Start: b.Start, Random: random}, err
}

func saveSender(s *frame.Sender) savedSender {
	saved := savedSender{Cluster: s.Cluster, Host: s.Host, savedBoot: saveBoot(s.Boot, s.Top), Heard: s.Heard}
	for _, e := range s.Ended {
		saved.Ended = append(saved.Ended, saveBoot(e.Boot, e.Top))
	}
	return saved
}

func (s *savedSender) sender() (frame.Sender, error) {
	boot, err := s.boot()
	out := frame.Sender{Cluster: s.Cluster, Host: s.Host, Boot: boot, Top: s.Top, Heard: s.Heard}
	err = errors.Join(err, metric.CheckHost("cluster", s.Cluster), metric.CheckHost("host", s.Host))
	for i := range s.Ended {
		ended, bad := s.Ended[i].boot()
		out.Ended, err = append(out.Ended, frame.Ended{Boot: ended, Top: s.Ended[i].Top}), errors.Join(err, bad)
	}
	return out, err
}

// loadSenders takes up which frames of each host were opened before this start, so that a record of them cannot be
// played to this one. Without the file, or with one that is no good, it starts as a new host does.
func (c *Collector) loadSenders() {
	if c.opt.DataDir == "" {
		return
	}
	senders, err := readSenders(filepath.Join(c.opt.DataDir, sendersFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.log.Warn("it is not known which frames were opened before this start: records of them would be taken again", "err", err)
	}
	c.state.Remember(senders)
}

func readSenders(file string) ([]frame.Sender, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot open file of senders: %w", err)
	}
	defer f.Close()
	var saved []savedSender
	if err := json.NewDecoder(io.LimitReader(f, maxSendersFile)).Decode(&saved); err != nil {
		return nil, fmt.Errorf("cannot read file of senders %q: %w", file, err)
	}
	out := make([]frame.Sender, 0, len(saved))
	for i := range saved {
		s, err := saved[i].sender()
		if err != nil {
			return nil, fmt.Errorf("cannot read file of senders %q: %w", file, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// saveSenders writes the file each minute until ctx ends. Run writes it once more.
func (c *Collector) saveSenders(ctx context.Context) error {
	tick := time.NewTicker(saveSendersEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.writeSendersFile()
		}
	}
}

func (c *Collector) writeSendersFile() {
	if c.opt.DataDir == "" {
		return
	}
	if err := writeSenders(filepath.Join(c.opt.DataDir, sendersFile), c.state.Senders(nil)); err != nil {
		c.log.Warn("a restart now would take records of old frames again", "err", err)
	}
}

// writeSenders writes the file aside and puts it in place.
func writeSenders(file string, senders []frame.Sender) error {
	saved := make([]savedSender, 0, len(senders))
	for i := range senders {
		saved = append(saved, saveSender(&senders[i]))
	}
	text, err := json.Marshal(saved)
	if err != nil {
		return fmt.Errorf("cannot write file of senders: %w", err)
	}
	if err := os.WriteFile(file+".new", text, 0o600); err != nil {
		return fmt.Errorf("cannot write file of senders: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("cannot write file of senders: %w", err)
	}
	return nil
}
