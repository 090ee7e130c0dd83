package promql

import (
	"encoding/json"
	"math"
	"strconv"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// answer is the data of a query's answer in Prometheus' JSON.
type answer struct {
	ResultType string `json:"resultType"`
	Result     any    `json:"result"`
}

type vectorItem struct {
	Metric map[string]string `json:"metric"`
	Value  point             `json:"value"`
}

type matrixItem struct {
	Metric map[string]string `json:"metric"`
	Values []point           `json:"values"`
}

// point is [seconds, "value"].
type point struct {
	ms int64
	v  float64
}

// MarshalJSON writes the time with its milliseconds and the value as a string, which alone can hold NaN and Inf.
func (p point) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 40)
	b = append(b, '[')
	b = strconv.AppendFloat(b, float64(p.ms)/1000, 'f', -1, 64)
	b = append(b, ',', '"')
	switch {
	case math.IsInf(p.v, 1):
		b = append(b, "+Inf"...)
	case math.IsInf(p.v, -1):
		b = append(b, "-Inf"...)
	default:
		b = strconv.AppendFloat(b, p.v, 'f', -1, 64)
	}
	return append(b, '"', ']'), nil
}

var _ json.Marshaler = point{}

// result copies a value out of the engine's memory.
func result(v parser.Value) answer {
	a := answer{ResultType: string(v.Type())}
	switch v := v.(type) {
	case promql.Vector:
		items := make([]vectorItem, 0, len(v))
		for _, s := range v {
			items = append(items, vectorItem{Metric: s.Metric.Map(), Value: point{s.T, s.F}})
		}
		a.Result = items
	case promql.Matrix:
		items := make([]matrixItem, 0, len(v))
		for _, s := range v {
			values := make([]point, 0, len(s.Floats))
			for _, f := range s.Floats {
				values = append(values, point{f.T, f.F})
			}
			items = append(items, matrixItem{Metric: s.Metric.Map(), Values: values})
		}
		a.Result = items
	case promql.Scalar:
		a.Result = point{v.T, v.V}
	case promql.String:
		a.Result = [2]any{float64(v.T) / 1000, v.V}
	}
	return a
}
