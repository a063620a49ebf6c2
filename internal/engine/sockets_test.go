// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

func TestSocketsAreReadOnceAndOnlyIfAsked(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.Select, "main.main"), 1)
	var told []*goroutine.Sockets
	var errs []error
	asking := false
	detector := func(name string) *detectors.Detector {
		return &detectors.Detector{Name: name, Run: func(p *detectors.Pass) error {
			if asking {
				s, err := p.Sockets()
				told, errs = append(told, s), append(errs, err)
			}
			return nil
		}}
	}
	two := []*detectors.Detector{detector("one"), detector("two")}
	var read []time.Time
	e := engine.New(engine.Config{Detectors: two, Sockets: func(now time.Time) (*goroutine.Sockets, error) {
		read = append(read, now)
		return &goroutine.Sockets{Time: now, Share: 1}, nil
	}})
	e.Step(p.Snapshot())
	assert.Empty(t, read)
	asking = true
	for range 2 {
		p.Advance(time.Minute)
		e.Step(p.Snapshot())
	}
	assert.Equal(t, []time.Time{detectortest.Start.Add(time.Minute), detectortest.Start.Add(2 * time.Minute)}, read)
	assert.Same(t, told[0], told[1])
	assert.Equal(t, []error{nil, nil, nil, nil}, errs)

	told, errs = nil, nil
	engine.New(engine.Config{Detectors: two}).Step(p.Snapshot())
	assert.Equal(t, []error{detectors.ErrNoSockets, detectors.ErrNoSockets}, errs, "of another process")

	refused := errors.New("refused")
	errs = nil
	engine.New(engine.Config{Detectors: two, Sockets: func(time.Time) (*goroutine.Sockets, error) { return nil, refused }}).Step(p.Snapshot())
	assert.Equal(t, []error{refused, refused}, errs)
}
