// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/otelgoroutine/go/goroutine"
)

// benchDump returns a dump of n goroutines, ten frames deep, with six distinct
// stacks. Each goroutine has its own addresses.
func benchDump(n int) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "goroutine %d [chan receive, %d minutes]:\n", i+1, i%60+1)
		for f := range 10 {
			fmt.Fprintf(&text, "github.com/example/service/internal/worker%d.(*Pool).run%d(0xc%09x, {0xc%09x?, 0x1})\n", i%6, f, i, i)
			fmt.Fprintf(&text, "\t/go/src/github.com/example/worker/pool.go:%d +0x1d\n", 100+f)
		}
		fmt.Fprintf(&text, "created by github.com/example/service/internal/worker%d.(*Pool).Start in goroutine %d\n\t/go/src/pool.go:1 +0x2a\n\n", i%6, i)
	}
	return text.String()
}

// BenchmarkDumps reads a dump of 20,000 goroutines, 32 MB, plain and wrapped.
func BenchmarkDumps(b *testing.B) {
	const n = 20_000
	text := benchDump(n)
	all := wrappings()
	for _, name := range append([]string{"plain"}, sortedKeys(all)...) {
		b.Run(name, func(b *testing.B) {
			wrapped := text
			if name != "plain" {
				wrapped = all[name].wrap(text)
			}
			b.SetBytes(int64(len(wrapped)))
			b.ReportAllocs()
			for b.Loop() {
				dumps, err := Dumps(NewTextReader(newBuffered(strings.NewReader(wrapped))), textTime, NewStacks(), new(goroutine.Births))
				if err != nil || len(dumps) != 1 || dumps[0].Snapshot.Total != n || len(dumps[0].Snapshot.Groups) != 6 {
					b.Fatal(len(dumps), len(dumps[0].Snapshot.Groups), err)
				}
			}
		})
	}
}
