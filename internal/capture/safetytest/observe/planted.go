// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"sync"
	"time"
)

// planted begins the names of the functions with a fault.
const planted = "planted"

// plantDeadlock makes two goroutines wait for each other, and others for them.
func plantDeadlock() {
	var a, b sync.Mutex
	var both sync.WaitGroup
	both.Add(2)
	go plantedDeadlock(&a, &b, &both)
	go plantedDeadlock(&b, &a, &both)
	both.Wait()
	for range 2 {
		go plantedQueue(&a)
		go plantedQueue(&b)
	}
}

func plantedDeadlock(first, second *sync.Mutex, both *sync.WaitGroup) {
	first.Lock()
	both.Done()
	both.Wait()
	second.Lock()
	defer first.Unlock()
	defer second.Unlock()
}

func plantedQueue(m *sync.Mutex) {
	m.Lock()
	defer m.Unlock()
}

// leak starts a goroutine that never ends every two seconds, or more often if
// the times of the detectors are scaled.
func leak(ctx context.Context, scale float64) {
	ticker := time.NewTicker(max(time.Duration(scale*float64(time.Minute)), 10*time.Millisecond))
	defer ticker.Stop()
	for ctx.Err() == nil {
		go plantedLeak(make(chan bool))
		<-ticker.C
	}
}

func plantedLeak(never chan bool) { <-never }
