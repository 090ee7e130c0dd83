package batch

import (
	"fmt"

	"keepwatch/metric"
)

// Seen is asked by Scan about one sample: checked cluster and host names, and a descriptor. They are valid until it
// returns. known says that this descriptor was checked before, so that Scan need not check it again.
type Seen func(cluster, host, desc []byte) (known bool, err error)

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
		n, err := scanGroup(&r, samples, seen)
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

func scanGroup(r *reader, before int, seen Seen) (int, error) {
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
	for range n {
		desc := r.string(maxDesc)
		r.varint()
		r.fixed64()
		if r.err != nil {
			return 0, r.err
		}
		known, err := seen(cluster, host, desc)
		if err != nil {
			return 0, err
		}
		if known {
			continue
		}
		if _, err := parseSeries(string(cluster), string(host), desc); err != nil {
			return 0, err
		}
	}
	return n, nil
}
