// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package dumps

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/DataDog/gostackparse"
	"github.com/maruel/panicparse/v2/stack"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

const (
	dumpSize = 100 << 20 // bytes of the plain dump
	places   = 200       // distinct stacks in it
)

// largeDump returns a dump of 100 MB: goroutines of ten frames each, with addresses of
// their own.
func largeDump() (text []byte, goroutines int) {
	for ; len(text) < dumpSize; goroutines++ {
		i := goroutines
		text = fmt.Appendf(text, "goroutine %d [chan receive, %d minutes]:\n", i+1, i%60+1)
		for f := range 10 {
			text = fmt.Appendf(text, "github.com/example/service/internal/worker%d.(*Pool).run%d(0xc%09x, {0xc%09x?, 0x1})\n", i%places, f, i, i)
			text = fmt.Appendf(text, "\t/go/src/github.com/example/worker/pool.go:%d +0x1d\n", 100+f)
		}
		text = fmt.Appendf(text, "created by github.com/example/service/internal/worker%d.(*Pool).Start in goroutine %d\n\t/go/src/pool.go:1 +0x2a\n\n", i%places, i)
	}
	return text, goroutines
}

// A logger writes the lines of a dump. i counts them from 0.
type logger struct {
	name string
	line func(to []byte, i int, line string) []byte
}

func clock(i int) string {
	return time.Unix(1764230400, int64(i)*37_000_000).UTC().Format(time.RFC3339Nano)
}

func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// lineLoggers write a dump line by line.
var lineLoggers = []logger{
	{"spaces for tabs", func(to []byte, _ int, line string) []byte {
		return append(to, strings.Replace(line, "\t", "        ", 1)...)
	}},
	{"prefix: compose", func(to []byte, _ int, line string) []byte { return append(append(to, "web-1  | "...), line...) }},
	{"prefix: kubectl", func(to []byte, i int, line string) []byte {
		return append(append(append(to, clock(i)...), ' '), line...)
	}},
	{"prefix: CRI", func(to []byte, i int, line string) []byte {
		return append(append(append(to, clock(i)...), " stderr F "...), line...)
	}},
	{"JSON: Docker", func(to []byte, i int, line string) []byte {
		return fmt.Appendf(to, `{"log":%s,"stream":"stderr","time":%q}`, quoted(line+"\n"), clock(i))
	}},
	{"JSON: go test", func(to []byte, i int, line string) []byte {
		return fmt.Appendf(to, `{"Time":%q,"Action":"output","Package":"example.com/x","Output":%s}`, clock(i), quoted(line+"\n"))
	}},
	{"JSON: GCP", func(to []byte, i int, line string) []byte {
		return fmt.Appendf(to, `{"insertId":"%x","jsonPayload":{"logger":"main.go:12","message":%s},"severity":"ERROR","timestamp":%q}`, i*0x9e3779b9, quoted(line), clock(i))
	}},
	{"JSON: CloudWatch", func(to []byte, i int, line string) []byte {
		return fmt.Appendf(to, "        {\n            \"timestamp\": %d,\n            \"message\": %s,\n            \"ingestionTime\": 1\n        },", 1764230400000+i, quoted(line))
	}},
	{"logfmt", func(to []byte, i int, line string) []byte {
		return fmt.Appendf(to, "time=%s level=error msg=%s", clock(i), strconv.Quote(line))
	}},
	{"CSV", func(to []byte, i int, line string) []byte {
		return fmt.Appendf(to, `"%s","error","%s"`, clock(i), strings.ReplaceAll(line, `"`, `""`))
	}},
}

func (l logger) wrap(text []byte) []byte {
	wrapped := make([]byte, 0, 2*len(text))
	i := 0
	for line := range bytes.Lines(text) {
		wrapped = append(l.line(wrapped, i, string(bytes.TrimSuffix(line, []byte("\n")))), '\n')
		i++
	}
	return wrapped
}

// oneRecord writes the whole dump into a record, on one line.
func oneRecord(text []byte) []byte {
	return []byte(`{"level":"error","msg":"it panicked","stack":` + quoted(string(text)) + "}\n")
}

// BenchmarkDump reads a dump of 100 MB, by this project's readers in every wrapping, and
// by others' in the plain one. heap-MB is how much the heap grew, garbage included. Run it
// with -benchtime 1x or more.
func BenchmarkDump(b *testing.B) {
	text, n := largeDump()
	b.Run("ours, of a process", func(b *testing.B) {
		measure(b, text, func(r io.Reader) int {
			s, _, err := parse.Read(r, time.Time{}, parse.NewStacks(), new(goroutine.Births))
			return counted(b, n, s.Total, err)
		})
	})
	b.Run("ours, plain", func(b *testing.B) { measureOurs(b, text, n) })
	b.Run("gostackparse, plain", func(b *testing.B) {
		measure(b, text, func(r io.Reader) int {
			list, errs := gostackparse.Parse(r)
			if len(errs) > 0 {
				b.Fatal(errs[0])
			}
			return counted(b, n, len(list), nil)
		})
	})
	b.Run("panicparse, plain", func(b *testing.B) {
		measure(b, text, func(r io.Reader) int {
			s, _, err := stack.ScanSnapshot(r, io.Discard, &stack.Opts{})
			if err == io.EOF {
				err = nil
			}
			return counted(b, n, len(s.Goroutines), err)
		})
	})
	for _, l := range lineLoggers {
		b.Run("ours, "+l.name, func(b *testing.B) { measureOurs(b, l.wrap(text), n) })
	}
	b.Run("ours, JSON in one line", func(b *testing.B) { measureOurs(b, oneRecord(text), n) })
}

// measureOurs reads a text as the command does.
func measureOurs(b *testing.B, text []byte, n int) {
	measure(b, text, func(r io.Reader) int {
		dumps, err := parse.Dumps(parse.NewTextReader(bufio.NewReaderSize(r, 64<<10)), time.Time{}, parse.NewStacks(), new(goroutine.Births))
		if len(dumps) != 1 {
			b.Fatal(len(dumps), "dumps", err)
		}
		return counted(b, n, dumps[0].Snapshot.Total, err)
	})
}

// counted checks how many goroutines were read.
func counted(b *testing.B, want, got int, err error) int {
	if err != nil || got != want {
		b.Fatalf("%d goroutines instead of %d: %v", got, want, err)
	}
	return got
}

// measure reads a text again and again.
func measure(b *testing.B, text []byte, read func(io.Reader) int) {
	runtime.GC()
	before := heap()
	done, peak := make(chan struct{}), make(chan uint64)
	go watch(done, peak)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	n, cpu := 0, cpuTime()
	for b.Loop() {
		read(bytes.NewReader(text))
		n++
	}
	cpu = cpuTime() - cpu
	close(done)
	b.ReportMetric(float64(n*len(text))/1e6/cpu.Seconds(), "MB/CPU-s")
	b.ReportMetric(float64(max(<-peak, before)-before)/1e6, "heap-MB")
}

// watch sends the largest size of the heap until done.
func watch(done chan struct{}, to chan uint64) {
	largest := uint64(0)
	for {
		select {
		case <-done:
			to <- largest
			return
		case <-time.After(2 * time.Millisecond):
			largest = max(largest, heap())
		}
	}
}

// cpuTime returns the CPU time of the process so far, collecting garbage included: on a
// machine with other work it says more than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
