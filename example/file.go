// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"sync"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A file is an otlptest.Sink that appends each request as one line of OTLP
// JSON, in the format of the Collector's file exporter.
type file struct {
	file *os.File

	mu    sync.Mutex
	lines int
	err   error // the first error; nothing is written after it
}

// openFile opens or creates the file for appending.
func openFile(path string) (*file, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	return &file{file: f}, err
}

// Metrics appends one line {"resourceMetrics":…}.
func (f *file) Metrics(_ context.Context, all pmetric.Metrics) error {
	return f.append((&pmetric.JSONMarshaler{}).MarshalMetrics(all))
}

// Logs appends one line {"resourceLogs":…}.
func (f *file) Logs(_ context.Context, all plog.Logs) error {
	return f.append((&plog.JSONMarshaler{}).MarshalLogs(all))
}

// append returns no error: a full disk is no reason for the exporter to send
// the request again.
func (f *file) append(line []byte, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil
	}
	if err == nil {
		_, err = f.file.Write(append(line, '\n'))
	}
	if err != nil {
		f.err = fmt.Errorf("line %d: %w", f.lines+1, err)
		return nil
	}
	f.lines++
	return nil
}

// close closes the file and returns the first write error.
func (f *file) close() error {
	if err := f.file.Close(); f.err == nil {
		return err
	}
	return f.err
}
