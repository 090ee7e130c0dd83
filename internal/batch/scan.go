package batch

import (
	"fmt"
	"math"

	"keepwatch/metric"
)

// Visitor is what Scan shows an encoding to. The bytes that it is given are valid until it returns; an error ends the
// scan.
type Visitor interface {
	// Group is the cluster and the host of the samples that follow. Their names are not checked yet: known says
	// that they were before, so that Scan need not check them again.
	Group(cluster, host []byte) (known bool, err error)

	// Sample is one sample of the last Group. known says that its descriptor was checked before.
	Sample(s Raw) (known bool, err error)
}

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

// Scan reads an encoding without building series: it checks all that Decode checks and shows each sample to v.
// It returns the numbers of samples and events; its error wraps ErrMalformed or is what v returned. It suits a
// receiver that passes batches on and only counts what is in them.
func Scan(src []byte, v Visitor) (samples, events int, err error) {
	r := reader{b: src}
	if got := r.byte(); r.err == nil && got != version {
		return 0, 0, fmt.Errorf("%w: version %d, this build reads %d", ErrMalformed, got, version)
	}
	base := r.varint()
	groups := r.count("groups", MaxGroups)
	for range groups {
		n, err := scanGroup(&r, base, samples, v)
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

func scanGroup(r *reader, base int64, before int, v Visitor) (int, error) {
	cluster, host := r.string(metric.MaxHost), r.string(metric.MaxHost)
	n := r.count("samples", MaxSamples-before)
	if r.err != nil {
		return 0, r.err
	}
	known, err := v.Group(cluster, host)
	if err == nil && !known {
		err = checkGroup(string(cluster), string(host))
	}
	if err != nil {
		return 0, err
	}
	for range n {
		s := Raw{Desc: r.string(maxDesc), Time: base + r.varint(), Value: math.Float64frombits(r.fixed64())}
		if r.err != nil {
			return 0, r.err
		}
		known, err := v.Sample(s)
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

func checkGroup(cluster, host string) error {
	if err := metric.CheckHost("cluster", cluster); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if err := metric.CheckHost("host", host); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
