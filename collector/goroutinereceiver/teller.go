// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"time"

	"go.uber.org/zap"

	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/report"
)

// again is after which time what is still wrong is told again.
const again = time.Hour

// A teller writes to the Collector's log what changes about one target, and what stays
// wrong once an hour.
type teller struct {
	logger  *zap.Logger
	changes observe.Changes

	unreachable time.Time // when it was last told; zero if the target is reachable
	refused     time.Time // when it was last told that a consumer refuses; zero if it does not
	faulty      bool      // an error of a detector was told
}

// tell writes what a step has changed.
func (t *teller) tell(s *observe.Step, now time.Time) {
	for _, c := range t.changes.Next(&s.Status, now) {
		t.change(&s.Status, c)
	}
	t.repeat(&s.Status, now)
	if len(s.Status.Faults) > 0 && !t.faulty {
		t.logger.Warn("a detector failed; the others judge", zap.Strings("errors", s.Status.Faults))
	}
	t.faulty = len(s.Status.Faults) > 0
}

// change writes a change.
func (t *teller) change(s *observe.Status, c observe.Change) {
	switch c.Kind {
	case observe.Unreachable:
		return // repeat writes it
	case observe.Observed:
		t.logger.Info("target is observed", judging(s)...)
	case observe.Reachable:
		t.logger.Info("target can be reached again", append(judging(s), zap.Duration("after", c.Away))...)
	case observe.Restarted:
		t.logger.Info("target was restarted; it is observed from the beginning again", zap.String("evidence", s.Evidence), zap.Int("restarts", s.Restarts))
	case observe.Incomplete:
		t.logger.Warn("snapshots of target are incomplete", zap.String("error", s.Why()))
	case observe.Complete:
		t.logger.Info("snapshots of target are complete again")
	case observe.Judging:
		t.logger.Info("what can be judged of target has changed", judging(s)...)
	case observe.Suspected:
		t.logger.Debug("goroutines are under suspicion", zap.Stringer("suspicion", c.Candidate))
	}
}

// repeat writes that a target is unreachable, at first and once an hour.
func (t *teller) repeat(s *observe.Status, now time.Time) {
	switch {
	case !s.Unreachable():
		t.unreachable = time.Time{}
	case t.unreachable.IsZero() || now.Sub(t.unreachable) >= again:
		t.unreachable = now
		t.logger.Warn("target cannot be observed", zap.String("error", s.Why()), zap.Time("since", s.Since))
	}
}

// delivered writes that the next consumer refuses data, at first and once an hour.
func (t *teller) delivered(err error) {
	now := time.Now()
	switch {
	case err == nil && !t.refused.IsZero():
		t.logger.Info("data of target is accepted again")
		t.refused = time.Time{}
	case err != nil && (t.refused.IsZero() || now.Sub(t.refused) >= again):
		t.refused = now
		t.logger.Warn("data of target is not accepted", zap.Error(err))
	}
}

func (t *teller) gone() { t.logger.Info("target is gone; its findings and series end") }

// judging returns what can be judged of a target, and why the rest cannot.
func judging(s *observe.Status) []zap.Field {
	cannot, waiting := report.SightOf(s.Sight).Split()
	fields := []zap.Field{zap.Int("goroutines", s.Snapshot.Total)}
	if gaps := cannot.Gaps(); len(gaps) > 0 {
		fields = append(fields, zap.Strings("cannot_judge", gaps))
	}
	if s.NoTrace != "" {
		fields = append(fields, zap.String("no_trace", s.NoTrace))
	}
	if len(waiting.Detectors) > 0 {
		fields = append(fields, zap.Strings("need_more_snapshots", waiting.Names()))
	}
	return fields
}
