// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A translator turns data of the OpenTelemetry SDK into data of the Collector, by the
// official exporters: what they would send is read back. It is shared by all targets and
// safe for concurrent use.
//
// The exporters read OTEL_* variables, which are the Collector's and not the targets'.
// None has an effect: the client here sends nothing, whatever its address, headers and
// certificates are, and the other settings are given.
type translator struct {
	metrics *otlpmetrichttp.Exporter
	logs    *otlploghttp.Exporter
}

// nowhere is never connected to. With https it does not contradict certificates that a
// variable names.
const nowhere = "https://localhost/"

func newTranslator(ctx context.Context) (*translator, error) {
	client := &http.Client{Transport: readBack{}}
	metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(nowhere), otlpmetrichttp.WithHTTPClient(client),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression), otlpmetrichttp.WithTimeout(time.Minute),
		otlpmetrichttp.WithMaxRequestSize(mostSize), otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}))
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	logs, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(nowhere), otlploghttp.WithHTTPClient(client),
		otlploghttp.WithCompression(otlploghttp.NoCompression), otlploghttp.WithTimeout(time.Minute),
		otlploghttp.WithMaxRequestSize(mostSize), otlploghttp.WithRetry(otlploghttp.RetryConfig{}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("logs: %w", err), metrics.Shutdown(ctx))
	}
	return &translator{metrics, logs}, nil
}

// readBack is a transport that puts the body of a request where its context says.
type readBack struct{}

type bodyKey struct{}

func (readBack) RoundTrip(r *http.Request) (*http.Response, error) {
	into, ok := r.Context().Value(bodyKey{}).(*[]byte)
	if !ok {
		return nil, errors.New("a request that no translation makes")
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	*into = body
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header), Body: http.NoBody, Request: r,
	}, nil
}

// metricsOf translates metrics. Their resource is of, whatever the SDK says.
func (t *translator) metricsOf(ctx context.Context, rm *metricdata.ResourceMetrics, of pcommon.Resource) (pmetric.Metrics, error) {
	var body []byte
	if err := t.metrics.Export(context.WithValue(ctx, bodyKey{}, &body), rm); err != nil {
		return pmetric.Metrics{}, err
	}
	request := pmetricotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil {
		return pmetric.Metrics{}, err
	}
	all := request.Metrics().ResourceMetrics()
	for i := range all.Len() {
		of.CopyTo(all.At(i).Resource())
		all.At(i).SetSchemaUrl("")
	}
	return request.Metrics(), nil
}

// logsOf translates log records in the same way.
func (t *translator) logsOf(ctx context.Context, records []sdklog.Record, of pcommon.Resource) (plog.Logs, error) {
	var body []byte
	if err := t.logs.Export(context.WithValue(ctx, bodyKey{}, &body), records); err != nil {
		return plog.Logs{}, err
	}
	request := plogotlp.NewExportRequest()
	if err := request.UnmarshalProto(body); err != nil {
		return plog.Logs{}, err
	}
	all := request.Logs().ResourceLogs()
	for i := range all.Len() {
		of.CopyTo(all.At(i).Resource())
		all.At(i).SetSchemaUrl("")
	}
	return request.Logs(), nil
}

// ended marks all values as absent: the series of a target that is gone end at once,
// and do not keep their last value for as long as a backend waits for the next.
func ended(m pmetric.Metrics) {
	for _, rm := range m.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, metric := range sm.Metrics().All() {
				absent(metric)
			}
		}
	}
}

var noValue = pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)

func absent(m pmetric.Metric) {
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		absentNumbers(m.Gauge().DataPoints())
	case pmetric.MetricTypeSum:
		absentNumbers(m.Sum().DataPoints())
	case pmetric.MetricTypeHistogram:
		for _, p := range m.Histogram().DataPoints().All() {
			p.SetFlags(noValue)
		}
	}
}

func absentNumbers(points pmetric.NumberDataPointSlice) {
	for _, p := range points.All() {
		p.SetFlags(noValue)
	}
}

// shutdown frees the exporters. Nothing can be translated any more.
func (t *translator) shutdown(ctx context.Context) error {
	return errors.Join(t.metrics.Shutdown(ctx), t.logs.Shutdown(ctx))
}
