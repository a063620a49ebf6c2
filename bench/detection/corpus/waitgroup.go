package corpus

import (
	"slices"
	"sync"
	"time"
)

var waitGroups = slices.Concat(
	twins(WaitGroupCount, leak("importRows"), imports,
		"waitgroup-add-too-many", "An import adds all rows to a WaitGroup beforehand and then skips the empty ones.",
		"waitgroup-add-each", "An import adds each row that it starts a goroutine for."),
	twins(WaitGroupCount, leak("resizeAll"), resizes,
		"waitgroup-done-skipped", "A goroutine returns on an error before it calls Done.",
		"waitgroup-done-deferred", "Every goroutine defers Done."),
	beyond("a single goroutine that waits looks like one that waits for the end of the program, however long one watches", true,
		faulty(WaitGroupCount, one("leak", "rotateLogs", 1), func(e *Env) { ordinary(e); go rotateLogs(e) },
			"waitgroup-once-at-rotation", "One rotation of log files waits for a writer that returned without Done, once.")),
	sound(WaitGroupCount, longWait,
		"waitgroup-long-wait", "One goroutine waits for workers that live as long as the process."),
)

func imports(e *Env) {
	serve(e, 6, func(r request) {
		rows := []string{"a", "b", "c", "d"}
		if r.every(2) {
			rows[2] = ""
		}
		importRows(e, rows)
	})
}

func importRows(e *Env, rows []string) {
	var all sync.WaitGroup
	all.Add(len(rows))
	for _, row := range rows {
		if row == "" {
			if !e.Fails() {
				all.Done()
			}
			continue
		}
		go func() {
			defer all.Done()
			time.Sleep(e.Tail(100 * time.Millisecond))
		}()
	}
	all.Wait()
}

func resizes(e *Env) {
	var n counter
	serve(e, 6, func(request) { resizeAll(e, &n) })
}

func resizeAll(e *Env, n *counter) {
	var all sync.WaitGroup
	all.Add(4)
	for range 4 {
		go func() {
			time.Sleep(e.Tail(100 * time.Millisecond))
			if unreadable := n.every(9); unreadable && e.Fails() {
				return
			}
			all.Done()
		}()
	}
	all.Wait()
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
		e.Fails() // the disk is full
	}()
	writers.Wait()
}

func longWait(e *Env) {
	var workers sync.WaitGroup
	jobs := make(chan int)
	for range 3 {
		workers.Go(func() { batchWorker(e, jobs) })
	}
	go func() { workers.Wait() }()
	serve(e, 2, func(request) { jobs <- 1 })
}
