package main

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// rates is what the pipeline ends in: the exchange rate that orders use.
type rates struct{ bits atomic.Uint64 }

func newRates() *rates {
	r := &rates{}
	r.set(1)
	return r
}

func (r *rates) current() float64 { return math.Float64frombits(r.bits.Load()) }
func (r *rates) set(rate float64) { r.bits.Store(math.Float64bits(rate)) }

// startPipeline starts three stages, one goroutine each: a ticker's ticks
// become quotes, the quotes are smoothed, and the result is stored. Each stage
// ends when the one before closes its channel.
func (s *service) startPipeline(ctx context.Context) {
	quotes, smooth := make(chan float64), make(chan float64)
	s.running.Go(func() { quote(ctx, quotes) })
	s.running.Go(func() { smoothen(quotes, smooth) })
	s.running.Go(func() {
		for rate := range smooth {
			s.rates.set(rate)
		}
	})
}

func quote(ctx context.Context, quotes chan<- float64) {
	defer close(quotes)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			quotes <- 1 + 0.01*math.Sin(float64(now.UnixMilli())/1000)
		case <-ctx.Done():
			return
		}
	}
}

func smoothen(quotes <-chan float64, smooth chan<- float64) {
	defer close(smooth)
	mean := 1.0
	for q := range quotes {
		mean = 0.9*mean + 0.1*q
		smooth <- mean
	}
}
