package corpus

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

var groups = slices.Concat(
	twins(GroupMisuse, leak("crawlSite", "(*Group).Go"), siteCrawls,
		"errgroup-nested-limit", "Tasks of an errgroup with a limit start tasks in the same group, and wait for places that they hold themselves.",
		"errgroup-nested-own-group", "Tasks of an errgroup with a limit start tasks in a group of their own."),
	twins(GroupMisuse, leak("gatherPrices"), func(e *Env) { serve(e, 3, func(request) { gatherPrices(e) }) },
		"errgroup-wait-before-receive", "The group is waited for before the results are received that its tasks send.",
		"errgroup-receive-while-waiting", "The results are received while the group is waited for."),
	twins(GroupMisuse, leak("streamRows"), rowStreams,
		"errgroup-context-ignored", "One task of a group fails; the other ignores the group's context and goes on sending.",
		"errgroup-context-watched", "One task of a group fails; the other sees the end of the group's context."),
	twins(GroupMisuse, leak("encodeVideo", "(*Weighted).Acquire"), encodings,
		"semaphore-not-released", "A weighted semaphore is not released on an error; when all is lost, every request waits.",
		"semaphore-released", "A weighted semaphore is released on errors, too."),
	twins(GroupMisuse, leak("callLimited"), limitedCalls,
		"semaphore-channel-not-released", "A channel is used as a semaphore, and a return on an error keeps the place.",
		"semaphore-channel-released", "A channel is used as a semaphore, whose place is given back by defer."),
	twins(GroupMisuse, leak("loadTemplate", "(*Group).Do"), templates,
		"singleflight-recursive", "A template that includes itself is loaded through singleflight, which waits for itself.",
		"singleflight-slow", "Many requests ask singleflight for templates that take seconds to load."),
	sound(GroupMisuse, fanOut,
		"errgroup-fan-out", "Requests fan out over an errgroup with a limit."),
)

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
