package promql

import (
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// set is a storage.SeriesSet over what was read.
type set struct {
	all []*one
	i   int
}

func newSet(all []*one, sorted bool) *set {
	if sorted {
		slices.SortFunc(all, func(a, b *one) int { return labels.Compare(a.labels, b.labels) })
	}
	return &set{all: all, i: -1}
}

func (s *set) Next() bool                        { s.i++; return s.i < len(s.all) }
func (s *set) At() storage.Series                { return s.all[s.i] }
func (s *set) Err() error                        { return nil }
func (s *set) Warnings() annotations.Annotations { return nil }

// Labels implements storage.Series.
func (o *one) Labels() labels.Labels { return o.labels }

// Iterator implements storage.Series.
func (o *one) Iterator(reuse chunkenc.Iterator) chunkenc.Iterator {
	it, ok := reuse.(*iterator)
	if !ok {
		it = &iterator{}
	}
	*it = iterator{one: o, i: -1}
	return it
}

// iterator walks over the samples of a series.
type iterator struct {
	*one
	i int
}

func (it *iterator) Next() chunkenc.ValueType {
	if it.i < len(it.times) {
		it.i++
	}
	return it.kind()
}

// millis is a time as chunkenc.Iterator has it; under its own name vet does not take Seek for that of io.Seeker.
type millis = int64

func (it *iterator) Seek(t millis) chunkenc.ValueType {
	it.i = max(it.i, 0)
	if it.i < len(it.times) && it.times[it.i] < t {
		ahead, _ := slices.BinarySearch(it.times[it.i:], t)
		it.i += ahead
	}
	return it.kind()
}

func (it *iterator) kind() chunkenc.ValueType {
	if it.i < len(it.times) {
		return chunkenc.ValFloat
	}
	return chunkenc.ValNone
}

func (it *iterator) At() (int64, float64) { return it.times[it.i], it.values[it.i] }
func (it *iterator) AtT() int64           { return it.times[it.i] }
func (it *iterator) AtST() int64          { return 0 }
func (it *iterator) Err() error           { return nil }

func (it *iterator) AtHistogram(*histogram.Histogram) (int64, *histogram.Histogram) {
	return it.times[it.i], nil
}

func (it *iterator) AtFloatHistogram(*histogram.FloatHistogram) (int64, *histogram.FloatHistogram) {
	return it.times[it.i], nil
}
