// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// ErrNotTrace is returned for data that does not begin like an execution trace.
var ErrNotTrace = errors.New("not a Go execution trace")

// ErrTraceVersion is returned for an execution trace in an unknown format. The
// error text names the version.
var ErrTraceVersion = errors.New("unknown version of the execution trace format")

// Versions of the trace format, by the Go release that introduced them. Go 1.24
// writes version 1.23, and Go 1.27 writes version 1.26. Go 1.22 writes no stacks of
// goroutines without events; before that, the format was another one.
const (
	trace122 = 22
	trace123 = 23
	trace125 = 25 // a sync batch replaces the lone frequency
	trace126 = 26 // the end of a generation is marked
)

const headerSize = len("go 1.26 trace\x00\x00\x00")

// traceVersion reads the header. old accepts Go 1.22.
func traceVersion(data []byte, old bool) (int, error) {
	rest, ok := bytes.CutPrefix(data[:min(len(data), headerSize)], []byte("go 1."))
	digits, end, found := bytes.Cut(rest, []byte(" trace"))
	if !ok || !found || len(bytes.Trim(end, "\x00")) > 0 {
		return 0, ErrNotTrace
	}
	version, err := strconv.Atoi(string(digits))
	if err != nil || version < 0 {
		return 0, ErrNotTrace
	}
	accepted, advice := fmt.Sprintf("go 1.%d, go 1.%d or go 1.%d", trace123, trace125, trace126), ""
	switch {
	case version == trace123, version == trace125, version == trace126, old && version == trace122:
		return version, nil
	case old:
		accepted = fmt.Sprintf("go 1.%d, %s", trace122, accepted)
		if version < trace122 {
			advice = "; take a goroutine dump (debug=2) instead"
		}
	}
	return 0, fmt.Errorf("%w: go 1.%d; it must be %s%s", ErrTraceVersion, version, accepted, advice)
}

// Bounds of the format (internal/trace/tracev2).
const (
	maxBatch = 64 << 10 // bytes in a batch
	maxDepth = 128      // frames in a stack
	maxArgs  = 5        // arguments of an event, including the time
)

// noThread is the M of batches that no M wrote: they hold the status of goroutines
// that had no event in a generation.
const noThread = ^uint64(0)

// The events, in the order of internal/trace/tracev2.
const (
	_ = iota
	evEventBatch
	evStacks
	evStack
	evStrings
	evString
	evCPUSamples
	evCPUSample
	evFrequency
	evProcsChange
	evProcStart
	evProcStop
	evProcSteal
	evProcStatus
	evGoCreate
	evGoCreateSyscall
	evGoStart
	evGoDestroy
	evGoDestroySyscall
	evGoStop
	evGoBlock
	evGoUnblock
	evGoSyscallBegin
	evGoSyscallEnd
	evGoSyscallEndBlocked
	evGoStatus
	evSTWBegin
	evSTWEnd
	evGCActive
	evGCBegin
	evGCEnd
	evGCSweepActive
	evGCSweepBegin
	evGCSweepEnd
	evGCMarkAssistActive
	evGCMarkAssistBegin
	evGCMarkAssistEnd
	evHeapAlloc
	evHeapGoal
	evGoLabel
	evUserTaskBegin
	evUserTaskEnd
	evUserRegionBegin
	evUserRegionEnd
	evUserLog
	evGoSwitch
	evGoSwitchDestroy
	evGoCreateBlocked
	evGoStatusStack
	evExperimentalBatch
	evSync
	evClockSnapshot
	evEndOfGeneration
)

// The events of the allocation experiment (GODEBUG=traceallocfree=1).
const (
	evSpan = 128 + iota
	evSpanAlloc
	evSpanFree
	evHeapObject
	evHeapObjectAlloc
	evHeapObjectFree
	evGoroutineStack
	evGoroutineStackAlloc
	evGoroutineStackFree
)

// eventSpecs describes each event that an M writes: the number of its arguments,
// including the time, and which of them is the stack of the goroutine that the M
// runs (0 if none is). An entry without arguments is not an event that an M
// writes.
var eventSpecs = [256]struct{ args, stack uint8 }{
	evProcsChange:         {3, 2},
	evProcStart:           {3, 0},
	evProcStop:            {1, 0},
	evProcSteal:           {4, 0},
	evProcStatus:          {3, 0},
	evGoCreate:            {4, 3}, // time, goroutine, its first frame as a stack, stack
	evGoCreateSyscall:     {2, 0}, // time, goroutine
	evGoStart:             {3, 0}, // time, goroutine, its sequence number
	evGoDestroy:           {1, 0},
	evGoDestroySyscall:    {1, 0},
	evGoStop:              {3, 2}, // time, reason, stack
	evGoBlock:             {3, 2}, // time, reason, stack
	evGoUnblock:           {4, 3}, // time, goroutine, its sequence number, stack
	evGoSyscallBegin:      {3, 2}, // time, sequence number of the P, stack
	evGoSyscallEnd:        {1, 0},
	evGoSyscallEndBlocked: {1, 0},
	evGoStatus:            {4, 0}, // time, goroutine, M, status
	evSTWBegin:            {3, 2},
	evSTWEnd:              {1, 0},
	evGCActive:            {2, 0},
	evGCBegin:             {3, 2},
	evGCEnd:               {2, 0},
	evGCSweepActive:       {2, 0},
	evGCSweepBegin:        {2, 1},
	evGCSweepEnd:          {3, 0},
	evGCMarkAssistActive:  {2, 0},
	evGCMarkAssistBegin:   {2, 1},
	evGCMarkAssistEnd:     {1, 0},
	evHeapAlloc:           {2, 0},
	evHeapGoal:            {2, 0},
	evGoLabel:             {2, 0}, // time, label
	evUserTaskBegin:       {5, 4},
	evUserTaskEnd:         {3, 2},
	evUserRegionBegin:     {4, 3},
	evUserRegionEnd:       {4, 3},
	evUserLog:             {5, 4},
	evGoSwitch:            {3, 0}, // time, goroutine switched to, its sequence number
	evGoSwitchDestroy:     {3, 0}, // time, goroutine switched to, its sequence number
	evGoCreateBlocked:     {4, 3}, // time, goroutine, its first frame as a stack, stack
	evGoStatusStack:       {5, 0}, // time, goroutine, M, status, stack
	evSpan:                {4, 0},
	evSpanAlloc:           {4, 0},
	evSpanFree:            {2, 0},
	evHeapObject:          {3, 0},
	evHeapObjectAlloc:     {3, 0},
	evHeapObjectFree:      {2, 0},
	evGoroutineStack:      {3, 0},
	evGoroutineStackAlloc: {3, 0},
	evGoroutineStackFree:  {2, 0},
}

// A cursor reads numbers. At the end of the data, or at a number of more than 64
// bits, it becomes bad and reads zeros from then on.
type cursor struct {
	data []byte
	pos  int
	bad  bool
}

func (c *cursor) more() bool { return c.pos < len(c.data) }

func (c *cursor) byte() byte {
	if !c.more() {
		c.bad = true
		return 0
	}
	b := c.data[c.pos]
	c.pos++
	return b
}

func (c *cursor) uvarint() uint64 {
	if c.pos < len(c.data) && c.data[c.pos] < 0x80 {
		c.pos++
		return uint64(c.data[c.pos-1])
	}
	v, n := binary.Uvarint(c.data[c.pos:])
	if n <= 0 {
		c.bad, c.pos = true, len(c.data)
		return 0
	}
	c.pos += n
	return v
}

// A batch is a run of entries of one kind that one M wrote, or the mark at the end
// of a generation.
type batch struct {
	at         int    // where the batch begins in the trace
	kind       byte   // of its first entry; evEndOfGeneration for the mark; 0 for an empty or an experimental one
	generation uint64 // 0 for the mark
	m          uint64
	body       int // where data begins in the trace
	data       []byte
}

// batch reads a batch. It fails when there is none; the cursor's position is then
// undefined.
func (c *cursor) batch() (batch, error) {
	b := batch{at: c.pos}
	kind := c.byte()
	switch kind {
	case evEndOfGeneration:
		b.kind = kind
		return b, nil
	case evExperimentalBatch:
		c.byte() // the experiment
	case evEventBatch:
	default:
		return b, fmt.Errorf("expected a batch, found entry %d", kind)
	}
	b.generation = c.uvarint()
	b.m = c.uvarint()
	c.uvarint() // time
	size := c.uvarint()
	if size > maxBatch {
		return b, fmt.Errorf("a batch of %d bytes, which must be at most %d", size, maxBatch)
	}
	if c.bad || int(size) > len(c.data)-c.pos {
		return b, io.ErrUnexpectedEOF
	}
	b.body = c.pos
	b.data = c.data[c.pos : c.pos+int(size)]
	c.pos += int(size)
	if kind == evEventBatch && size > 0 {
		b.kind = b.data[0]
	}
	return b, nil
}

// TraceGeneration returns the number of the generation that a batch of a trace
// belongs to, or 0 for what is no batch of a generation: the header, or the mark at
// a generation's end.
func TraceGeneration(data []byte) uint64 {
	c := cursor{data: data}
	b, err := c.batch()
	if err != nil {
		return 0
	}
	return b.generation
}

// A span is the part of a trace that holds the batches of one generation.
type span struct {
	begin, end int
	complete   bool
	stop       func() error // asked before each batch; nil: nothing ends the reading
}

// lastGeneration finds the last complete generation of a trace. If there is none,
// it finds the beginning of the first generation. The error says what is wrong
// with the rest of the trace.
func lastGeneration(data []byte, version int) (span, error) {
	var last span
	current, number := span{begin: headerSize}, uint64(0)
	c := cursor{data: data, pos: headerSize}
	for c.more() {
		b, err := c.batch()
		switch {
		case err == nil && b.kind == evEndOfGeneration && version >= trace126:
		case err == nil && (number == 0 || number == b.generation) && b.generation != 0:
			number = b.generation
			continue
		case err == nil && version < trace126 && b.generation != 0:
			c.pos = b.at // read it again, as the first batch of the next generation
		default:
			if err == nil {
				err = fmt.Errorf("batch of generation %d inside generation %d", b.generation, number)
			}
			current.end = b.at
			return either(last, current), traceOutside(b.at, err)
		}
		current.end = b.at
		if number != 0 {
			current.complete = true
			last = current
		}
		current, number = span{begin: c.pos}, 0
	}
	current.end = len(data)
	switch {
	case number != 0 && version < trace126:
		current.complete = true
		return current, nil
	case number != 0:
		return either(last, current), traceOutside(len(data), fmt.Errorf("generation %d has no end: %w", number, io.ErrUnexpectedEOF))
	case !last.complete:
		return current, traceOutside(len(data), fmt.Errorf("no generation: %w", io.ErrUnexpectedEOF))
	}
	return last, nil
}

func either(last, current span) span {
	if last.complete {
		return last
	}
	return current
}

// traceOutside reports an error in the trace outside the generation that is read.
func traceOutside(at int, err error) error { return fmt.Errorf("trace: %w", atByte(at, err)) }

// atByte adds the position in the trace to an error.
func atByte(at int, err error) error { return fmt.Errorf("byte %d: %w", at, err) }

// batches calls f for each batch of a generation whose kind is wanted. It
// continues after an error, because each batch can be read without the others, and
// returns the first error. Only an error of stop ends it.
func (s span) batches(data []byte, wanted func(kind byte) bool, f func(batch) error) error {
	var first error
	c := cursor{data: data[:s.end], pos: s.begin}
	for n := 0; c.more(); n++ {
		b, err := c.batch()
		if err != nil {
			break // already reported by lastGeneration
		}
		if !wanted(b.kind) {
			continue
		}
		if s.stop != nil {
			if err := s.stop(); err != nil {
				return err
			}
		}
		if err := f(b); err != nil && first == nil {
			first = fmt.Errorf("trace: generation %d, batch %d at byte %d: %w", b.generation, n, b.at, err)
		}
	}
	return first
}
