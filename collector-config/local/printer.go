package main

import (
	"fmt"
	"io"
	"net"
	"net/http"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// A printer takes logs by OTLP over HTTP, in the place of a store for logs, and
// prints what people read of an event.
type printer struct {
	listener net.Listener
	server   *http.Server
}

func startPrinter(out io.Writer) (*printer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &printer{listener: l}
	p.server = &http.Server{Handler: rig.LogsHandler(func(logs plog.Logs) { printEvents(out, logs) })}
	go func() { _ = p.server.Serve(l) }() // ends with Close
	return p, nil
}

// URL is the endpoint for exporters.
func (p *printer) URL() string { return "http://" + p.listener.Addr().String() }

func (p *printer) Close() error { return p.server.Close() }

func printEvents(out io.Writer, logs plog.Logs) {
	for _, resource := range logs.ResourceLogs().All() {
		for _, scope := range resource.ScopeLogs().All() {
			for _, r := range scope.LogRecords().All() {
				name, _ := r.Attributes().Get("event.name")
				fmt.Fprintf(out, "%s  %-5s %s\n          %s\n", r.Timestamp().AsTime().Local().Format("15:04:05"), r.SeverityText(), name.AsString(), r.Body().AsString())
			}
		}
	}
}
