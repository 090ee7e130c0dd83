package batch

import (
	"fmt"
	"math"

	"keepwatch/metric"
)

// Seen is asked by Scan about one sample with checked cluster and host names; its bytes are valid until it returns.
// known says that this descriptor was checked before, so that Scan need not check it again.
type Seen func(cluster, host []byte, s *Raw) (known bool, err error)

// Raw is one sample as Scan finds it.
type Raw struct {
	Desc  []byte // its descriptor; not checked
	Time  int64  // ms since the epoch
	Value float64
}

// Named reports whether a descriptor, which may be malformed, is of the metric of that name, at most 127 bytes long.
func Named(desc []byte, name string) bool {
	return len(desc) >= 2+len(name) && int(desc[1]) == len(name) && string(desc[2:2+len(name)]) == name
}

// Series makes the series of a descriptor; the error wraps ErrMalformed.
func Series(cluster, host string, desc []byte) (*metric.Series, error) {
	return parseSeries(cluster, host, desc)
}

// Scan reads an encoding without building series: it checks all that Decode checks and calls seen for each sample.
// It returns the numbers of samples and events; its error wraps ErrMalformed or is what seen returned. It suits a
// receiver that passes batches on and only counts what is in them.
func Scan(src []byte, seen Seen) (samples, events int, err error) {
	r := reader{b: src}
	if v := r.byte(); r.err == nil && v != version {
		return 0, 0, fmt.Errorf("%w: version %d, this build reads %d", ErrMalformed, v, version)
	}
	base := r.varint()
	groups := r.count("groups", MaxGroups)
	for range groups {
		n, err := scanGroup(&r, base, samples, seen)
		if err != nil {
			return samples, 0, err
		}
		samples += n
	}
	for range r.count("events", MaxEvents) {
		e := decodeEvent(&r, base)
		if r.err != nil {
			return samples, events, r.err
		}
		if err := e.Check(); err != nil {
			return samples, events, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		events++
	}
	if r.err == nil && len(r.b) > 0 {
		return samples, events, fmt.Errorf("%w: %d bytes too many", ErrMalformed, len(r.b))
	}
	return samples, events, r.err
}

func scanGroup(r *reader, base int64, before int, seen Seen) (int, error) {
	cluster, host := r.string(metric.MaxHost), r.string(metric.MaxHost)
	n := r.count("samples", MaxSamples-before)
	if r.err != nil {
		return 0, r.err
	}
	if err := metric.CheckHost("cluster", string(cluster)); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := metric.CheckHost("host", string(host)); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	s := new(Raw)
	for range n {
		s.Desc, s.Time, s.Value = r.string(maxDesc), base+r.varint(), math.Float64frombits(r.fixed64())
		if r.err != nil {
			return 0, r.err
		}
		known, err := seen(cluster, host, s)
		if err != nil {
			return 0, err
		}
		if known {
			continue
		}
		if _, err := parseSeries(string(cluster), string(host), s.Desc); err != nil {
			return 0, err
		}
	}
	return n, nil
}
