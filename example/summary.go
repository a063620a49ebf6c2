package main

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"
)

// summary says at the end what there was to see.
func (d *destination) summary(shop *service) {
	if d.screen != nil {
		d.screen.Finish()
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(d.out, "  %-18s%s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(d.out, "Summary of %v\n", d.lasted.Round(time.Second))
	row("requests served", "%d", shop.requests.Load())
	row("goroutines", "%d when it was time to stop, %d when all had stopped that can", d.atEnd, runtime.NumGoroutine())
	if d.receiver == nil {
		row("exported to", "%s", d.options.endpoint)
		return
	}
	counts := d.model.Counts()
	row("metric points", "%d received in %d collections", counts.Points, counts.Collections)
	row("events", "%s", eventCounts(counts.Events))
	if d.file != nil {
		row("written to", "%s, %d lines of OTLP JSON", d.options.out, d.file.Lines())
	}
	if d.options.profiles != "" {
		row("profiles in", "%s, for go tool pprof", d.options.profiles)
	}
}

func eventCounts(byName map[string]int) string {
	total, lines := 0, ""
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		total += byName[name]
		lines += fmt.Sprintf("\n%s%d × %s", strings.Repeat(" ", 20), byName[name], name)
	}
	return fmt.Sprintf("%d received%s", total, lines)
}
