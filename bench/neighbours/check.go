// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/google/pprof/profile"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/exp/trace"
)

// maxUpload bounds an upload, in bytes.
const maxUpload = 64 << 20

// part reads one file of an upload. It is decompressed if it is zstd.
func part(form *multipart.Form, name string) ([]byte, error) {
	files := form.File[name]
	if len(files) != 1 {
		return nil, fmt.Errorf("%s is there %d times", name, len(files))
	}
	file, err := files[0].Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(file)
	if err != nil || !bytes.HasPrefix(data, []byte{0x28, 0xb5, 0x2f, 0xfd}) {
		return data, err
	}
	d, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return io.ReadAll(d)
}

// checkProfile reads a profile. One that must not be empty has samples.
func checkProfile(data []byte, empty bool) (*profile.Profile, error) {
	p, err := profile.ParseData(data)
	if err == nil && len(p.Sample) == 0 && !empty {
		err = errors.New("no samples")
	}
	return p, err
}

// A cpuTime adds up the CPU time in profiles, in ns. It is safe for concurrent use.
type cpuTime struct{ atomic.Int64 }

// check reads a CPU profile. One of a second or two may be empty on a busy machine.
func (c *cpuTime) check(data []byte) error {
	p, err := checkProfile(data, true)
	if err != nil {
		return err
	}
	for _, s := range p.Sample {
		c.Add(s.Value[1])
	}
	return nil
}

// ended notes the CPU time, of which there must be some.
func (c *cpuTime) ended(l *ledger) {
	l.note("%v of CPU time", time.Duration(c.Load()).Round(time.Second/10))
	if c.Load() == 0 {
		l.fault("no CPU time in all CPU profiles")
	}
}

// parkedInProfile counts the parked goroutines in a goroutine profile.
func parkedInProfile(p *profile.Profile) (n int64) {
	for _, s := range p.Sample {
		if has(s, parkedFunction) {
			n += s.Value[0]
		}
	}
	return n
}

func has(s *profile.Sample, function string) bool {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil && line.Function.Name == function {
				return true
			}
		}
	}
	return false
}

// checkGoroutines reads a goroutine profile, which must have every parked
// goroutine.
func checkGoroutines(data []byte) error {
	p, err := checkProfile(data, false)
	if err != nil {
		return err
	}
	if n := parkedInProfile(p); n != population {
		return fmt.Errorf("%d of the %d parked goroutines", n, population)
	}
	return nil
}

// beatCategory is the category of the numbers that [host.beat] logs.
const beatCategory = "beat"

// checkTrace reads a trace to its end and returns the last number in it. The
// numbers must be consecutive.
func checkTrace(data []byte) (last int64, err error) {
	r, err := trace.NewReader(bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	events := 0
	for {
		e, err := r.ReadEvent()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return last, fmt.Errorf("after %d events: %w", events, err)
		}
		events++
		if e.Kind() != trace.EventLog || e.Log().Category != beatCategory {
			continue
		}
		n, err := strconv.ParseInt(e.Log().Message, 10, 64)
		if err != nil || last > 0 && n != last+1 {
			return last, fmt.Errorf("%q follows %d", e.Log().Message, last)
		}
		last = n
	}
	if events == 0 {
		return last, errors.New("no events")
	}
	return last, nil
}
