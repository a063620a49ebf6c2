package corpus

import (
	"context"
	"sync"
	"time"
)

func waitGroups() []Scenario {
	return []Scenario{
		{
			Name: "waitgroup-add-too-many", Class: WaitGroupCount, Faulty: true, Expect: leak("importRows"),
			Doc: "An import adds all rows to a WaitGroup beforehand and then skips the empty ones.",
			Run: func(e *Env) { imports(e, false) },
		},
		{
			Name: "waitgroup-add-each", Class: WaitGroupCount,
			Doc: "An import adds each row that it starts a goroutine for.",
			Run: func(e *Env) { imports(e, true) },
		},
		{
			Name: "waitgroup-done-skipped", Class: WaitGroupCount, Faulty: true, Expect: leak("resizeAll"),
			Doc: "A goroutine returns on an error before it calls Done.",
			Run: func(e *Env) { resizes(e, false) },
		},
		{
			Name: "waitgroup-done-deferred", Class: WaitGroupCount,
			Doc: "Every goroutine defers Done.",
			Run: func(e *Env) { resizes(e, true) },
		},
		{
			Name: "waitgroup-once-at-rotation", Class: WaitGroupCount, Faulty: true, Expect: []Expectation{{"leak", "rotateLogs", 1}}, Proof: true,
			Beyond: "a single goroutine that waits looks like one that waits for the end of the program, however long one watches",
			Doc:    "One rotation of log files waits for a writer that returned without Done, once.",
			Run: func(e *Env) {
				ordinary(e)
				go rotateLogs(e)
			},
		},
		{
			Name: "waitgroup-long-wait", Class: WaitGroupCount,
			Doc: "One goroutine waits for workers that live as long as the process.",
			Run: func(e *Env) {
				s := ordinary(e)
				var workers sync.WaitGroup
				jobs := make(chan int)
				for range 3 {
					workers.Go(func() { batchWorker(e, jobs) })
				}
				go func() { workers.Wait() }()
				s.handle("/put", func(context.Context) { jobs <- 1 })
				s.visit(2, "/put")
			},
		},
	}
}

func imports(e *Env, each bool) {
	var n counter
	serve(e, 6, func(context.Context) {
		rows := []string{"a", "b", "c", "d"}
		if n.every(2) {
			rows[2] = ""
		}
		importRows(e, rows, each)
	})
}

func importRows(e *Env, rows []string, each bool) {
	var all sync.WaitGroup
	if !each {
		all.Add(len(rows))
	}
	for _, row := range rows {
		if row == "" {
			if !each {
				e.Fault()
			}
			continue
		}
		if each {
			all.Add(1)
		}
		go func() {
			defer all.Done()
			time.Sleep(e.Tail(100 * time.Millisecond))
		}()
	}
	all.Wait()
	e.Served()
}

func resizes(e *Env, deferred bool) {
	var n counter
	serve(e, 6, func(context.Context) { resizeAll(e, &n, deferred) })
}

func resizeAll(e *Env, n *counter, deferred bool) {
	var all sync.WaitGroup
	for range 4 {
		all.Add(1)
		go func() {
			if deferred {
				defer all.Done()
			}
			time.Sleep(e.Tail(100 * time.Millisecond))
			if n.every(9) { // cannot be read
				if !deferred {
					e.Fault()
				}
				return
			}
			if !deferred {
				all.Done()
			}
		}()
	}
	all.Wait()
	e.Served()
}

func rotateLogs(e *Env) {
	var writers sync.WaitGroup
	writers.Add(2)
	go func() {
		defer writers.Done()
		e.Sleep(time.Second)
	}()
	go func() {
		e.Sleep(time.Second)
		e.Fault() // the disk is full
	}()
	writers.Wait()
}
