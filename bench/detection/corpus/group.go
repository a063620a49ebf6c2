package corpus

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
)

func groups() []Scenario {
	return []Scenario{
		{
			Name: "errgroup-nested-limit", Class: GroupMisuse, Faulty: true, Expect: leak("crawlSite", "(*Group).Go"),
			Doc: "Tasks of an errgroup with a limit start tasks in the same group, and wait for places that they hold themselves.",
			Run: func(e *Env) { siteCrawls(e, false) },
		},
		{
			Name: "errgroup-nested-own-group", Class: GroupMisuse,
			Doc: "Tasks of an errgroup with a limit start tasks in a group of their own.",
			Run: func(e *Env) { siteCrawls(e, true) },
		},
		{
			Name: "errgroup-wait-before-receive", Class: GroupMisuse, Faulty: true, Expect: leak("gatherPrices"),
			Doc: "The group is waited for before the results are received that its tasks send.",
			Run: func(e *Env) { priceGroups(e, false) },
		},
		{
			Name: "errgroup-receive-while-waiting", Class: GroupMisuse,
			Doc: "The results are received while the group is waited for.",
			Run: func(e *Env) { priceGroups(e, true) },
		},
		{
			Name: "errgroup-context-ignored", Class: GroupMisuse, Faulty: true, Expect: leak("streamRows"),
			Doc: "One task of a group fails; the other does not look at the group's context and goes on sending.",
			Run: func(e *Env) { rowStreams(e, false) },
		},
		{
			Name: "errgroup-context-watched", Class: GroupMisuse,
			Doc: "One task of a group fails; the other sees the end of the group's context.",
			Run: func(e *Env) { rowStreams(e, true) },
		},
		{
			Name: "semaphore-not-released", Class: GroupMisuse, Faulty: true, Expect: leak("encodeVideo", "(*Weighted).Acquire"),
			Doc: "A weighted semaphore is not released on an error; when all is lost, everybody waits.",
			Run: func(e *Env) { encodings(e, false) },
		},
		{
			Name: "semaphore-released", Class: GroupMisuse,
			Doc: "A weighted semaphore is released on errors, too.",
			Run: func(e *Env) { encodings(e, true) },
		},
		{
			Name: "semaphore-channel-not-released", Class: GroupMisuse, Faulty: true, Expect: leak("callLimited"),
			Doc: "A channel is used as a semaphore, and a return on an error keeps the place.",
			Run: func(e *Env) { limitedCalls(e, false) },
		},
		{
			Name: "semaphore-channel-released", Class: GroupMisuse,
			Doc: "A channel is used as a semaphore, whose place is given back by defer.",
			Run: func(e *Env) { limitedCalls(e, true) },
		},
		{
			Name: "singleflight-recursive", Class: GroupMisuse, Faulty: true, Expect: leak("loadTemplate", "(*Group).Do"),
			Doc: "A template that includes itself is loaded through singleflight, which waits for itself.",
			Run: func(e *Env) { templates(e, false) },
		},
		{
			Name: "singleflight-slow", Class: GroupMisuse,
			Doc: "Many ask singleflight for templates that take seconds to load.",
			Run: func(e *Env) { templates(e, true) },
		},
		{
			Name: "errgroup-fan-out", Class: GroupMisuse,
			Doc: "Requests fan out over an errgroup with a limit.",
			Run: func(e *Env) {
				serve(e, 4, func(ctx context.Context) {
					g, ctx := errgroup.WithContext(ctx)
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
					if g.Wait() == nil {
						e.Served()
					}
				})
			},
		},
	}
}

func siteCrawls(e *Env, own bool) {
	serve(e, 3, func(context.Context) {
		var g errgroup.Group
		g.SetLimit(2)
		for range 2 {
			g.Go(func() error {
				inner := &g
				if own {
					inner = new(errgroup.Group)
				}
				return crawlSite(e, inner, 2)
			})
		}
		if !own {
			e.Fault()
		}
		if g.Wait() == nil {
			e.Served()
		}
	})
}

func crawlSite(e *Env, g *errgroup.Group, depth int) error {
	e.Sleep(100 * time.Millisecond)
	if depth > 0 {
		g.Go(func() error { return crawlSite(e, g, depth-1) })
	}
	return nil
}

func priceGroups(e *Env, meanwhile bool) {
	serve(e, 3, func(context.Context) {
		if !meanwhile {
			e.Fault()
		}
		if gatherPrices(e, meanwhile) > 0 {
			e.Served()
		}
	})
}

func gatherPrices(e *Env, meanwhile bool) (sum int) {
	var g errgroup.Group
	prices := make(chan int)
	for range 4 {
		g.Go(func() error {
			time.Sleep(e.Tail(100 * time.Millisecond))
			prices <- 1
			return nil
		})
	}
	if meanwhile {
		go func() {
			defer close(prices)
			_ = g.Wait()
		}()
	} else {
		_ = g.Wait()
		close(prices)
	}
	for p := range prices {
		sum += p
	}
	return sum
}

func rowStreams(e *Env, watches bool) {
	var n counter
	serve(e, 6, func(ctx context.Context) {
		g, ctx := errgroup.WithContext(ctx)
		rows := make(chan int)
		fails := n.every(3)
		g.Go(func() error { return streamRows(ctx, e, rows, watches) })
		g.Go(func() error {
			for r := range rows {
				if fails && r == 5 {
					if !watches {
						e.Fault()
					}
					return errPart
				}
			}
			e.Served()
			return nil
		})
		_ = g.Wait()
	})
}

func streamRows(ctx context.Context, e *Env, rows chan<- int, watches bool) error {
	defer close(rows)
	var done <-chan struct{}
	if watches {
		done = ctx.Done()
	}
	for i := range 12 {
		time.Sleep(e.Dur(10 * time.Millisecond))
		select {
		case rows <- i:
		case <-done:
			return ctx.Err()
		}
	}
	return nil
}

func encodings(e *Env, releases bool) {
	places := semaphore.NewWeighted(6)
	var n counter
	serve(e, 6, func(context.Context) { encodeVideo(e, places, n.every(12), releases) })
}

func encodeVideo(e *Env, places *semaphore.Weighted, fails, releases bool) {
	if places.Acquire(context.Background(), 2) != nil {
		return
	}
	time.Sleep(e.Tail(500 * time.Millisecond))
	if fails && !releases {
		e.Fault()
		return
	}
	places.Release(2)
	e.Served()
}

func limitedCalls(e *Env, releases bool) {
	places := make(chan struct{}, 4)
	var n counter
	serve(e, 8, func(context.Context) { callLimited(e, places, n.every(15), releases) })
}

func callLimited(e *Env, places chan struct{}, fails, releases bool) {
	places <- struct{}{}
	time.Sleep(e.Tail(300 * time.Millisecond))
	if fails && !releases {
		e.Fault()
		return
	}
	<-places
	e.Served()
}

func templates(e *Env, sound bool) {
	var g singleflight.Group
	var n counter
	serve(e, 10, func(context.Context) {
		name := "page"
		if n.every(20) {
			name = "recursive"
		}
		loadTemplate(e, &g, name, sound)
		e.Served()
	})
}

func loadTemplate(e *Env, g *singleflight.Group, name string, sound bool) {
	_, _, _ = g.Do(name, func() (any, error) {
		e.Sleep(3 * time.Second)
		if name == "recursive" && !sound {
			e.Fault()
			loadTemplate(e, g, name, sound)
		}
		return name, nil
	})
}
