package corpus

import (
	"context"
	"sync"
	"time"
)

func closes() []Scenario {
	return []Scenario{
		{
			Name: "close-pipeline-error", Class: MissingClose, Faulty: true, Expect: leak("totalOrders"),
			Doc: "The first stage of a pipeline returns on an error without closing its channel, and the next ones range for ever.",
			Run: func(e *Env) { orderPipelines(e, false) },
		},
		{
			Name: "close-pipeline-deferred", Class: MissingClose,
			Doc: "Every stage of a pipeline closes its channel whichever way it ends.",
			Run: func(e *Env) { orderPipelines(e, true) },
		},
		{
			Name: "close-fan-in", Class: MissingClose, Faulty: true, Expect: leak("collectShards"),
			Doc: "Results of several shards are merged into a channel that nobody closes when all have sent.",
			Run: func(e *Env) { shardQueries(e, false) },
		},
		{
			Name: "close-fan-in-closed", Class: MissingClose,
			Doc: "Results of several shards are merged into a channel that is closed when all have sent.",
			Run: func(e *Env) { shardQueries(e, true) },
		},
		{
			Name: "close-batch-workers", Class: MissingClose, Faulty: true, Expect: leak("batchWorker"),
			Doc: "Each batch starts workers of its own; one that is cancelled forgets to close their channel of jobs.",
			Run: func(e *Env) { batches(e, false) },
		},
		{
			Name: "close-batch-workers-closed", Class: MissingClose,
			Doc: "Each batch starts workers of its own and closes their channel of jobs.",
			Run: func(e *Env) { batches(e, true) },
		},
	}
}

func orderPipelines(e *Env, closes bool) {
	var n counter
	serve(e, 8, func(context.Context) {
		ids, prices := make(chan int), make(chan int)
		fails := n.every(4)
		go func() { // list
			if closes {
				defer close(ids)
			}
			for i := range 8 {
				if fails && i == 5 {
					if !closes {
						e.Fault()
					}
					return
				}
				ids <- i
			}
			if !closes {
				close(ids)
			}
		}()
		go func() { // price
			defer close(prices)
			for id := range ids {
				time.Sleep(e.Dur(30 * time.Millisecond))
				prices <- id
			}
		}()
		totalOrders(e, prices)
	})
}

func totalOrders(e *Env, prices <-chan int) (sum int) {
	for p := range prices {
		sum += p
	}
	e.Served()
	return sum
}

func shardQueries(e *Env, closes bool) {
	serve(e, 4, func(context.Context) {
		results := make(chan int)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				time.Sleep(e.Tail(200 * time.Millisecond))
				results <- 1
			})
		}
		go func() {
			all.Wait()
			if closes {
				close(results)
			} else {
				e.Fault()
			}
		}()
		collectShards(e, results)
	})
}

func collectShards(e *Env, results <-chan int) {
	for range results {
		e.Served()
	}
}

func batches(e *Env, closes bool) {
	var n counter
	serve(e, 6, func(context.Context) {
		jobs := make(chan int)
		for range 3 {
			go batchWorker(e, jobs)
		}
		cancelled := n.every(3)
		for i := range 12 {
			if cancelled && i == 7 && !closes {
				e.Fault()
				return
			}
			jobs <- i
		}
		close(jobs)
	})
}

func batchWorker(e *Env, jobs <-chan int) {
	for range jobs {
		time.Sleep(e.Tail(50 * time.Millisecond))
		e.Served()
	}
}
