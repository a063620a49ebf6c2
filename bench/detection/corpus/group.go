// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

var groups = []program{
	{siteCrawls, "errgroup-nested-limit", "errgroup-nested-own-group"},
	{func(e *Env) { serve(e, 3, func(request) { gatherPrices(e) }) }, "errgroup-wait-before-receive", "errgroup-receive-while-waiting"},
	{rowStreams, "errgroup-context-ignored", "errgroup-context-watched"},
	{encodings, "semaphore-not-released", "semaphore-released"},
	{limitedCalls, "semaphore-channel-not-released", "semaphore-channel-released"},
	{templates, "singleflight-recursive", "singleflight-slow"},
	{fanOut, "", "errgroup-fan-out"},
}

func siteCrawls(e *Env) {
	serve(e, 3, func(request) {
		var g errgroup.Group
		g.SetLimit(2)
		for range 2 {
			g.Go(func() error {
				if e.Fails() {
					return crawlSite(e, &g, 2)
				}
				return crawlSite(e, new(errgroup.Group), 2)
			})
		}
		_ = g.Wait()
	})
}

func crawlSite(e *Env, g *errgroup.Group, depth int) error {
	e.Sleep(100 * time.Millisecond)
	if depth > 0 {
		g.Go(func() error { return crawlSite(e, g, depth-1) })
	}
	return nil
}

func gatherPrices(e *Env) (sum int) {
	var g errgroup.Group
	prices := make(chan int)
	for range 4 {
		g.Go(func() error {
			time.Sleep(e.Tail(100 * time.Millisecond))
			prices <- 1
			return nil
		})
	}
	if e.Fails() {
		_ = g.Wait()
		close(prices)
	} else {
		go func() {
			defer close(prices)
			_ = g.Wait()
		}()
	}
	for p := range prices {
		sum += p
	}
	return sum
}

func rowStreams(e *Env) {
	serve(e, 6, func(r request) {
		g, ctx := errgroup.WithContext(r)
		rows := make(chan int)
		fails := r.every(3)
		g.Go(func() error { return streamRows(ctx, e, rows) })
		g.Go(func() error {
			for row := range rows {
				if fails && row == 5 {
					e.Fails()
					return errPart
				}
			}
			return nil
		})
		_ = g.Wait()
	})
}

func streamRows(ctx context.Context, e *Env, rows chan<- int) error {
	defer close(rows)
	for i := range 12 {
		e.Sleep(10 * time.Millisecond)
		select {
		case rows <- i:
		case <-inSound(e, ctx.Done()):
			return ctx.Err()
		}
	}
	return nil
}

func encodings(e *Env) {
	places := semaphore.NewWeighted(6)
	serve(e, 6, func(r request) { encodeVideo(e, places, r.every(12)) })
}

func encodeVideo(e *Env, places *semaphore.Weighted, fails bool) {
	if places.Acquire(context.Background(), 2) != nil {
		return
	}
	time.Sleep(e.Tail(500 * time.Millisecond))
	if fails && e.Fails() {
		return
	}
	places.Release(2)
}

func limitedCalls(e *Env) {
	places := make(chan struct{}, 4)
	serve(e, 8, func(r request) { callLimited(e, places, r.every(15)) })
}

func callLimited(e *Env, places chan struct{}, fails bool) {
	places <- struct{}{}
	time.Sleep(e.Tail(300 * time.Millisecond))
	if fails && e.Fails() {
		return
	}
	<-places
}

func templates(e *Env) {
	var g singleflight.Group
	serve(e, 10, func(r request) {
		name := "page"
		if r.every(20) {
			name = "recursive"
		}
		loadTemplate(e, &g, name)
	})
}

func loadTemplate(e *Env, g *singleflight.Group, name string) {
	_, _, _ = g.Do(name, func() (any, error) {
		e.Sleep(3 * time.Second)
		if name == "recursive" && e.Fails() {
			loadTemplate(e, g, name)
		}
		return name, nil
	})
}

func fanOut(e *Env) {
	serve(e, 4, func(r request) {
		g, ctx := errgroup.WithContext(r)
		g.SetLimit(3)
		for range 10 {
			g.Go(func() error {
				select {
				case <-ctx.Done():
				case <-time.After(e.Tail(100 * time.Millisecond)):
				}
				return ctx.Err()
			})
		}
		_ = g.Wait()
	})
}
