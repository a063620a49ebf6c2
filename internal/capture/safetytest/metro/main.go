// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Metro hashes with a release whose assembly spoils the frame pointer.
package main

import (
	cuckoo "github.com/seiflotfy/cuckoofilter"

	"github.com/otelgoroutine/go/internal/capture/safetytest/observe"
)

func main() {
	data := make([]byte, 1<<10)
	observe.Beside(func() {
		filter := cuckoo.NewFilter(100)
		for i := range byte(100) {
			data[0] = i
			filter.Insert(data)
			waitInside(filter, data)
		}
	})
}

// waitInside blocks in the frame that got the wrong frame pointer.
//
//go:noinline
func waitInside(filter *cuckoo.Filter, data []byte) {
	done := make(chan bool)
	go func() { done <- true }()
	filter.Lookup(data)
	<-done
}
