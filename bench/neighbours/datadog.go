// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"sync"

	"github.com/DataDog/dd-trace-go/v2/profiler"
)

// A datadog checks the uploads of Datadog's profiler.
type datadog struct {
	ledger
	cpu    cpuTime
	wanted []string // files that each upload must have

	mu        sync.Mutex
	sequences []int // numbers of the uploads
}

// startDatadog starts Datadog's profiler with every profile type and with an
// execution trace in each upload; by default, one upload in fifteen has a trace.
func (h *host) startDatadog(_ context.Context, p phase, s settings) (*neighbour, error) {
	d := &datadog{
		ledger: ledger{name: "dd-trace-go", unit: "uploads"},
		wanted: []string{"delta-heap.pprof", "delta-block.pprof", "delta-mutex.pprof", "goroutines.pprof", "metrics.json", "go.trace"},
	}
	types := []profiler.ProfileType{profiler.HeapProfile, profiler.BlockProfile, profiler.MutexProfile, profiler.GoroutineProfile, profiler.MetricsProfile}
	if p.cpu == d.name {
		types, d.wanted = append(types, profiler.CPUProfile), append(d.wanted, "cpu.pprof")
	}
	receive(&h.agent, &d.ledger, d.take)
	err := errors.Join(
		os.Setenv("DD_PROFILING_EXECUTION_TRACE_PERIOD", s.datadog.String()),
		os.Setenv("DD_PROFILING_EXECUTION_TRACE_LIMIT_BYTES", strconv.Itoa(s.trace)),
	)
	if err != nil {
		return nil, err
	}
	err = profiler.Start(profiler.WithAgentAddr(h.receiver.url[len("http://"):]), profiler.WithPeriod(s.datadog), profiler.CPUDuration(s.datadog), profiler.WithProfileTypes(types...))
	return &neighbour{&d.ledger, func() error { profiler.Stop(); d.checks.Wait(); d.ended(); return nil }}, err
}

var sequence = regexp.MustCompile(`(?:^|,)profile_seq:(\d+)(?:,|$)`)

// take checks an upload.
func (d *datadog) take(_ url.Values, form *multipart.Form) error {
	data, err := part(form, "event")
	if err != nil {
		return err
	}
	var event struct {
		Attachments []string `json:"attachments"`
		Tags        string   `json:"tags_profiler"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return err
	}
	found := sequence.FindStringSubmatch(event.Tags)
	if found == nil {
		return fmt.Errorf("no profile_seq in %q", event.Tags)
	}
	number, _ := strconv.Atoi(found[1]) // digits
	d.mu.Lock()
	d.sequences = append(d.sequences, number)
	d.mu.Unlock()
	for _, name := range d.wanted {
		if !slices.Contains(event.Attachments, name) {
			return fmt.Errorf("upload %d has no %s", number, name)
		}
	}
	for _, name := range event.Attachments {
		data, err := part(form, name)
		if err == nil {
			err = d.attachment(name, data)
		}
		if err != nil {
			return fmt.Errorf("%s of upload %d: %w", name, number, err)
		}
	}
	return nil
}

// attachment checks a file of an upload.
func (d *datadog) attachment(name string, data []byte) (err error) {
	switch name {
	case "goroutines.pprof":
		return checkGoroutines(data)
	case "delta-heap.pprof":
		_, err = checkProfile(data, false)
	case "cpu.pprof":
		err = d.cpu.check(data)
	case "delta-block.pprof", "delta-mutex.pprof":
		_, err = checkProfile(data, true) // there may have been no contention
	case "go.trace":
		_, err = checkTrace(data)
	case "metrics.json":
		var metrics [][2]any
		if err = json.Unmarshal(data, &metrics); err == nil && len(metrics) == 0 {
			err = errors.New("no metrics")
		}
	default:
		err = errors.New("not expected")
	}
	return err
}

// ended checks that no upload is missing, and that CPU profiles have CPU time.
func (d *datadog) ended() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.wanted, "cpu.pprof") {
		d.cpu.ended(&d.ledger)
	}
	slices.Sort(d.sequences)
	for i, n := range slices.Compact(d.sequences) { // what was not answered in time is sent again
		if i != n {
			d.fault("upload %d is missing", i)
			return
		}
	}
}
