// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"encoding/binary"
	"strconv"
)

// A wire writes traces by hand.
type wire struct {
	data       []byte
	version    int
	generation uint64
	names      map[string]uint64 // of the generation
}

func newWire(header string) *wire {
	version, _ := strconv.Atoi(header[len("go 1."):][:2])
	return &wire{data: []byte(header), version: version, generation: 1, names: make(map[string]uint64)}
}

// entries are the contents of a batch.
type entries struct {
	w    *wire
	data []byte
}

func (e *entries) event(kind byte, args ...uint64) {
	e.data = append(e.data, kind)
	for _, a := range args {
		e.data = binary.AppendUvarint(e.data, a)
	}
}

func (w *wire) batch(m uint64, write func(*entries)) {
	e := &entries{w: w}
	write(e)
	w.data = append(w.data, evEventBatch)
	for _, n := range []uint64{w.generation, m, 0, uint64(len(e.data))} {
		w.data = binary.AppendUvarint(w.data, n)
	}
	w.data = append(w.data, e.data...)
}

func (w *wire) raw(data ...byte) {
	w.batch(1, func(e *entries) { e.data = data })
}

// stack writes a stack and the strings that it needs. Every function is in
// file.go, at line 10.
func (w *wire) stack(id uint64, functions ...string) {
	w.batch(noThread, func(e *entries) {
		e.event(evStacks)
		e.event(evStack, id, uint64(len(functions)))
		for i, f := range functions {
			for _, n := range []uint64{uint64(i), w.name(f), w.name("file.go"), 10} {
				e.data = binary.AppendUvarint(e.data, n)
			}
		}
	})
}

// name returns the ID of a string. It writes the string if it is new.
func (w *wire) name(s string) uint64 {
	id, ok := w.names[s]
	if ok || s == "" {
		return id
	}
	id = uint64(len(w.names) + 1)
	w.names[s] = id
	w.batch(noThread, func(e *entries) {
		e.event(evStrings)
		e.event(evString, id, uint64(len(s)))
		e.data = append(e.data, s...)
	})
	return id
}

// end ends the generation.
func (w *wire) end() {
	if w.version >= trace126 {
		w.data = append(w.data, evEndOfGeneration)
	}
	w.generation++
	w.names = make(map[string]uint64)
}
