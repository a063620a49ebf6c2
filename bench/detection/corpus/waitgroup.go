// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"sync"
	"time"
)

var waitGroups = []program{
	{imports, "waitgroup-add-too-many", "waitgroup-add-each"},
	{resizes, "waitgroup-done-skipped", "waitgroup-done-deferred"},
	{func(e *Env) { ordinary(e); go rotateLogs(e) }, "waitgroup-once-at-rotation", ""},
	{longWait, "", "waitgroup-long-wait"},
}

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
