// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/trace"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
)

// BenchmarkReport alternates between parsing alone and parsing, judging and
// reporting. docs/DESIGN.md states the ratio of the fastest rounds of both.
func BenchmarkReport(b *testing.B) {
	for name, data := range map[string][]byte{
		"dump of 100,000 goroutines": largeDump(b),
		"profile of 1,000 stacks":    largeProfile(b),
		"trace of a busy process":    busyTrace(b),
	} {
		b.Run(name, func(b *testing.B) {
			alone, whole := time.Hour, time.Hour
			for b.Loop() {
				began := time.Now()
				parsed(b, data)
				between := time.Now()
				s := parsed(b, data)
				findings, seen, _ := judge([]*goroutine.Snapshot{s}, nil)
				require.NoError(b, report.New([]*goroutine.Snapshot{s}, findings, report.Options{Terse: true, Sight: seen}).Text(io.Discard))
				whole = min(whole, time.Since(between))
				alone = min(alone, between.Sub(began))
			}
			b.ReportMetric(float64(whole)/float64(alone), "ratio")
			b.ReportMetric(float64(len(data))/(1<<20), "MiB")
			b.ReportMetric(alone.Seconds()*1000, "parse-ms")
		})
	}
}

func parsed(b *testing.B, data []byte) *goroutine.Snapshot {
	b.Helper()
	var s *goroutine.Snapshot
	var err error
	switch {
	case bytes.HasPrefix(data, []byte("goroutine ")):
		s, err = parse.Text(bytes.NewReader(data), time.Now(), parse.NewStacks(), &goroutine.Births{})
	case bytes.HasPrefix(data, []byte("go 1.")):
		s, err = parse.NewTraceDecoder(nil, nil).Decode(data, time.Now())
	default:
		s, err = parse.Profile(data, time.Now(), parse.NewStacks(), parse.Labels{})
	}
	require.NoError(b, err)
	return s
}

// largeDump repeats the goroutines of a real dump with different IDs.
func largeDump(b *testing.B) []byte {
	data, err := os.ReadFile(filepath.Join(files(b, "-more", "1"), "debug2.txt"))
	require.NoError(b, err)
	var one string
	for g := range strings.SplitSeq(string(data), "\n\n") {
		if strings.Contains(g, "main.deep") {
			_, one, _ = strings.Cut(g, "[")
		}
	}
	require.NotEmpty(b, one)
	var out bytes.Buffer
	for i := range 100_000 {
		fmt.Fprintf(&out, "goroutine %d [%s\n\n", i+1, one)
	}
	require.Greater(b, out.Len(), 60<<20)
	return out.Bytes()
}

func largeProfile(b *testing.B) []byte {
	t := &profile.ValueType{Type: "goroutine", Unit: "count"}
	p := &profile.Profile{SampleType: []*profile.ValueType{t}, PeriodType: t, Period: 1}
	functions := make(map[string]*profile.Location)
	for i := range 1000 {
		var locations []*profile.Location
		for depth := range 14 {
			name := fmt.Sprintf("example.com/service/pkg%d.(*handler%d).call", depth, i%50)
			switch {
			case depth == 0:
				name = "runtime.gopark"
			case depth == 1:
				name = "runtime.selectgo"
			case depth < 5: // the innermost calls differ; the calls leading to them are shared
				name = fmt.Sprintf("%s%d", name, i)
			}
			l := functions[name]
			if l == nil {
				f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name, Filename: "/src/service/handler.go"}
				l = &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f, Line: int64(depth + 1)}}}
				functions[name] = l
				p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			}
			locations = append(locations, l)
		}
		p.Sample = append(p.Sample, &profile.Sample{Value: []int64{int64(i + 1)}, Location: locations})
	}
	var out bytes.Buffer
	require.NoError(b, p.Write(&out))
	return out.Bytes()
}

// busyTrace returns a trace of this process with goroutines that pass numbers
// on.
func busyTrace(b *testing.B) []byte {
	stop := make(chan struct{})
	defer close(stop)
	for range 2000 {
		c := make(chan int)
		go func() {
			for {
				select {
				case c <- 1:
				case <-stop:
					return
				}
			}
		}()
		go func() {
			for {
				select {
				case <-c:
					runtime.Gosched()
				case <-stop:
					return
				}
			}
		}()
	}
	var out bytes.Buffer
	require.NoError(b, trace.Start(&out))
	time.Sleep(200 * time.Millisecond)
	trace.Stop()
	return out.Bytes()
}
