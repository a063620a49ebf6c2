// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"io"
	"sync"
	"testing"

	xtrace "golang.org/x/exp/trace"
)

// BenchmarkTraceDecode reads the trace of 100,000 parked goroutines, with this
// package and with golang.org/x/exp/trace.
func BenchmarkTraceDecode(b *testing.B) {
	const goroutines = 100_000
	stop := make(chan struct{})
	var started, done sync.WaitGroup
	for i := range goroutines {
		started.Add(1)
		done.Go(func() { parkDeep(i%6+8, &started, stop) })
	}
	started.Wait()
	data := flightOf(b, func() {})
	close(stop)
	done.Wait()

	perGoroutine := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/goroutines, "ns/goroutine")
		b.ReportAllocs()
	}
	b.Run("ours", func(b *testing.B) {
		d := newTestDecoder()
		for b.Loop() {
			if s, err := d.Decode(data, traceTime); err != nil || s.Total < goroutines {
				b.Fatal(err, s.Total)
			}
		}
		perGoroutine(b)
	})
	b.Run("reference", func(b *testing.B) {
		for b.Loop() {
			r, err := xtrace.NewReader(bytes.NewReader(data))
			for err == nil {
				_, err = r.ReadEvent()
			}
			if err != io.EOF {
				b.Fatal(err)
			}
		}
		perGoroutine(b)
	})
}

// BenchmarkTraceDecodeDistinct reads the trace of 10,000 goroutines that are
// parked in 2,000 distinct stacks of twelve turns each.
func BenchmarkTraceDecodeDistinct(b *testing.B) {
	stop := make(chan struct{})
	var started, done sync.WaitGroup
	for i := range 10_000 {
		started.Add(1)
		done.Go(func() { parkOn(i%2000, 12, &started, stop) })
	}
	started.Wait()
	data := flightOf(b, func() {})
	close(stop)
	done.Wait()
	d := newTestDecoder()
	b.ReportAllocs()
	for b.Loop() {
		if s, err := d.Decode(data, traceTime); err != nil || len(s.Groups) < 2000 {
			b.Fatal(err, len(s.Groups))
		}
	}
}

// parkOn parks at the end of a path. At each turn, the path chooses one of two
// functions.
func parkOn(path, turns int, started *sync.WaitGroup, stop chan struct{}) int {
	switch {
	case turns == 0:
		started.Done()
		<-stop
		return 0
	case path%2 == 0:
		return parkLeft(path/2, turns-1, started, stop) + 1
	}
	return parkRight(path/2, turns-1, started, stop) + 1
}

//go:noinline
func parkLeft(path, turns int, started *sync.WaitGroup, stop chan struct{}) int {
	return parkOn(path, turns, started, stop) + 1
}

//go:noinline
func parkRight(path, turns int, started *sync.WaitGroup, stop chan struct{}) int {
	return parkOn(path, turns, started, stop) + 2
}

//go:noinline
func parkDeep(n int, started *sync.WaitGroup, stop chan struct{}) int {
	if n == 0 {
		started.Done()
		<-stop
		return 0
	}
	return parkDeep(n-1, started, stop) + 1
}
