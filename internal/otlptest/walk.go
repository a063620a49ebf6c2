// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlptest

import (
	"iter"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Metrics yields every metric of a request, with its resource.
func Metrics(all pmetric.Metrics) iter.Seq2[pcommon.Resource, pmetric.Metric] {
	return func(yield func(pcommon.Resource, pmetric.Metric) bool) {
		for _, resource := range all.ResourceMetrics().All() {
			for _, scope := range resource.ScopeMetrics().All() {
				for _, metric := range scope.Metrics().All() {
					if !yield(resource.Resource(), metric) {
						return
					}
				}
			}
		}
	}
}

// Records yields every log record of a request, with its resource.
func Records(all plog.Logs) iter.Seq2[pcommon.Resource, plog.LogRecord] {
	return func(yield func(pcommon.Resource, plog.LogRecord) bool) {
		for _, resource := range all.ResourceLogs().All() {
			for _, scope := range resource.ScopeLogs().All() {
				for _, record := range scope.LogRecords().All() {
					if !yield(resource.Resource(), record) {
						return
					}
				}
			}
		}
	}
}

// A Point is a data point of a sum, a gauge or a histogram.
type Point struct {
	Attributes pcommon.Map
	Value      float64 // for a histogram, the sum of the observed values
	Count      uint64  // for a histogram, the number of observations; otherwise 1
}

// Attribute returns an attribute of the point, like the function Attribute.
func (p Point) Attribute(name string) string { return Attribute(p.Attributes, name) }

// Points returns the data points of a metric. It returns none unless the metric is
// a sum, a gauge or a histogram.
func Points(m pmetric.Metric) []Point {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return numbers(m.Sum().DataPoints())
	case pmetric.MetricTypeGauge:
		return numbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeHistogram:
		return histograms(m.Histogram().DataPoints())
	}
	return nil
}

func numbers(data pmetric.NumberDataPointSlice) []Point {
	points := make([]Point, 0, data.Len())
	for _, d := range data.All() {
		value := d.DoubleValue() + float64(d.IntValue()) // the unset one is 0
		points = append(points, Point{d.Attributes(), value, 1})
	}
	return points
}

func histograms(data pmetric.HistogramDataPointSlice) []Point {
	points := make([]Point, 0, data.Len())
	for _, d := range data.All() {
		points = append(points, Point{d.Attributes(), d.Sum(), d.Count()})
	}
	return points
}

// Attribute returns an attribute as text, or "" if there is none with that name.
func Attribute(attributes pcommon.Map, name string) string {
	value, ok := attributes.Get(name)
	if !ok {
		return ""
	}
	return value.AsString()
}
