// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/internal/otlptest"
)

// A printer receives logs by OTLP over HTTP, in place of a log store. It prints
// the parts of an event that people read.
type printer struct {
	out      io.Writer
	listener net.Listener
	server   *http.Server
}

func startPrinter(out io.Writer) (*printer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &printer{out: out, listener: l}
	p.server = &http.Server{Handler: otlptest.Handler(p)}
	go func() { _ = p.server.Serve(l) }() // ends on Close
	return p, nil
}

// URL returns the endpoint for exporters.
func (p *printer) URL() string { return "http://" + p.listener.Addr().String() }

func (p *printer) Close() error { return p.server.Close() }

// Logs implements [otlptest.Sink].
func (p *printer) Logs(_ context.Context, logs plog.Logs) error {
	for _, r := range otlptest.Records(logs) {
		fmt.Fprintf(p.out, "%s  %-5s %s\n          %s\n", r.Timestamp().AsTime().Local().Format("15:04:05"), r.SeverityText(),
			otlptest.Attribute(r.Attributes(), "event.name"), r.Body().AsString())
	}
	return nil
}

// Metrics implements [otlptest.Sink]. No metrics are sent here.
func (p *printer) Metrics(context.Context, pmetric.Metrics) error { return nil }
