// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report writes the tables, as Markdown.
func report(w io.Writer, results []*result) {
	fmt.Fprintf(w, "%s, %s/%s, GOMAXPROCS %d\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0))
	for _, r := range results {
		fmt.Fprintf(w, "\n## %s: %d captures in %v\n\n", r.phase, sum(r.taken), r.took.Round(time.Second))
		fmt.Fprintf(w, "By source: %s.\n", list(r.taken))
		if len(r.skipped) > 0 {
			fmt.Fprintf(w, "Not taken: %s.\n", list(r.skipped))
		}
		first, last := r.usage.thirds()
		fmt.Fprintf(w, "\n| median of | live heap | resident memory | threads | descriptors | goroutines |\n|---|---|---|---|---|---|\n")
		for _, row := range []struct {
			name string
			usage
		}{{"the first third", first}, {"the last third", last}} {
			fmt.Fprintf(w, "| %s | %d MiB | %d MiB | %d | %d | %d |\n", row.name, row.live>>20, row.rss>>20, row.threads, row.fds, row.goroutines)
		}
		fmt.Fprintf(w, "\n| neighbour | delivered | size | faults | |\n|---|---|---|---|---|\n")
		for _, l := range append(slices.Clone(r.ledgers), r.ours) {
			pieces, bytes, wrong := l.counts()
			fmt.Fprintf(w, "| %s | %d %s | %.1f MB | %d | %s |\n", l.name, pieces, l.unit, float64(bytes)/1e6, wrong, strings.Join(slices.Sorted(slices.Values(l.noteList())), "; "))
		}
	}
}

func sum(counts map[string]int) (n int) {
	for _, k := range counts {
		n += k
	}
	return n
}

// list writes counts, the largest first.
func list(counts map[string]int) string {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b)) })
	for i, k := range keys {
		keys[i] = fmt.Sprintf("%s %d", k, counts[k])
	}
	return strings.Join(keys, ", ")
}
