package receiver

import (
	"fmt"
	"os"
	"sync"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// A File is a [Sink] that appends every request to a file as one line of OTLP
// JSON, in the format of the Collector's file exporter.
type File struct {
	mu    sync.Mutex
	file  *os.File
	lines int
	err   error // the first; nothing is written after it
}

// OpenFile opens or creates the file for appending.
func OpenFile(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &File{file: file}, nil
}

// Metrics appends one line {"resourceMetrics":…}.
func (f *File) Metrics(req *colmetrics.ExportMetricsServiceRequest) { f.append(req) }

// Logs appends one line {"resourceLogs":…}.
func (f *File) Logs(req *collogs.ExportLogsServiceRequest) { f.append(req) }

func (f *File) append(m proto.Message) {
	line, err := MarshalJSON(m)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return
	}
	if err == nil {
		_, err = f.file.Write(line)
	}
	if err != nil {
		f.err = fmt.Errorf("line %d: %w", f.lines+1, err)
		return
	}
	f.lines++
}

// Lines returns how many lines were appended.
func (f *File) Lines() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lines
}

// Close closes the file and returns the first error that writing met.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.file.Close()
	if f.err != nil {
		return f.err
	}
	return err
}
