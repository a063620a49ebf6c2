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

//go:noinline
func parkDeep(n int, started *sync.WaitGroup, stop chan struct{}) int {
	if n == 0 {
		started.Done()
		<-stop
		return 0
	}
	return parkDeep(n-1, started, stop) + 1
}
