// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/receiver"
)

// A sharing has one receiver for each configuration: the Collector creates a component
// for each signal, and a target must be asked once for all of them.
type sharing struct {
	mu  sync.Mutex
	all map[*Config]*shared
}

func newSharing() *sharing { return &sharing{all: make(map[*Config]*shared)} }

// join returns the component of a signal. add sets its consumer.
func (s *sharing) join(set receiver.Settings, c *Config, add func(*goroutineReceiver)) (*shared, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.all[c]
	if !ok {
		r, err := newReceiver(set, c)
		if err != nil {
			return nil, err
		}
		one = &shared{receiver: r, leave: func() { s.leave(c) }}
		s.all[c] = one
	}
	add(one.receiver)
	return one, nil
}

func (s *sharing) leave(c *Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c)
}

// A shared receiver starts with the first signal and ends with the first.
type shared struct {
	receiver *goroutineReceiver
	leave    func()

	mu      sync.Mutex
	started bool
	err     error // of the start
	once    sync.Once
	hosts   hosts
}

// Start starts the receiver, unless another signal has.
func (s *shared) Start(ctx context.Context, host component.Host) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts.add(host)
	if !s.started {
		s.started = true
		s.err = s.receiver.start(ctx, host, s.hosts.report)
	}
	return s.err
}

// Shutdown ends the receiver, unless another signal has.
func (s *shared) Shutdown(ctx context.Context) (err error) {
	s.once.Do(func() {
		s.leave()
		err = s.receiver.shutdown(ctx)
	})
	return err
}

// The hosts of the signals hear the status of the receiver.
type hosts struct {
	mu   sync.Mutex
	all  []component.Host
	last *componentstatus.Event
}

func (h *hosts) add(host component.Host) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, host)
	if h.last != nil {
		componentstatus.ReportStatus(host, h.last)
	}
}

func (h *hosts) report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = e
	for _, host := range h.all {
		componentstatus.ReportStatus(host, e)
	}
}
