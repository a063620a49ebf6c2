// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/procfs"
)

// A usage is what a process used in a span of time.
type usage struct {
	Cores float64 // CPU time by the time that passed
	Peak  int     // resident memory at most, in bytes
	Last  int     // resident memory at the end
}

// A meter measures processes. It reads the proc filesystem of Linux.
type meter struct {
	processes map[string]int // process ID by name

	mu    sync.Mutex
	began time.Time
	cpu   map[string]float64 // seconds at the beginning
	peak  map[string]int
}

// every is how often a meter reads the memory.
const every = time.Second

// read returns the CPU seconds and the resident memory of a process.
func read(pid int) (cpu float64, resident int, err error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, 0, err
	}
	s, err := p.Stat()
	if err != nil {
		return 0, 0, err
	}
	return s.CPUTime(), s.ResidentMemory(), nil
}

// begin begins to measure.
func (m *meter) begin() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.began, m.cpu, m.peak = time.Now(), make(map[string]float64), make(map[string]int)
	for name, pid := range m.processes {
		cpu, resident, err := read(pid)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", name, err)
		}
		m.cpu[name], m.peak[name] = cpu, resident
	}
	return nil
}

// end returns what the processes used since begin.
func (m *meter) end() (map[string]usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all, elapsed := make(map[string]usage), time.Since(m.began).Seconds()
	for name, pid := range m.processes {
		cpu, resident, err := read(pid)
		if err != nil {
			return nil, fmt.Errorf("measuring %s: %w", name, err)
		}
		all[name] = usage{(cpu - m.cpu[name]) / elapsed, max(m.peak[name], resident), resident}
	}
	return all, nil
}

// run keeps the peaks of memory until ctx ends.
func (m *meter) run(ctx context.Context) {
	for wait(ctx, every) == nil {
		m.mu.Lock()
		for name, pid := range m.processes {
			if _, resident, err := read(pid); err == nil && m.peak != nil {
				m.peak[name] = max(m.peak[name], resident)
			}
		}
		m.mu.Unlock()
	}
}

// during returns what the processes used while do ran.
func (m *meter) during(do func() error) (map[string]usage, error) {
	if err := m.begin(); err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		return nil, err
	}
	return m.end()
}
