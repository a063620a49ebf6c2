// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// fade is how long a series without a value is observed as 0. In many backends,
// a series that is no longer observed keeps its last value for about that long.
const fade = 5 * time.Minute

// A series holds attribute sets, each with a value. Values with the same
// attributes are added up. Attribute sets without a value stay at 0 for a
// while.
type series struct {
	max    int // maximum number of attribute sets, including those at 0
	values map[attribute.Distinct]*value
	now    time.Time
	live   int // attribute sets that have a value now
}

type value struct {
	sum   int
	attrs metric.MeasurementOption
	last  time.Time // when it last had a value
}

func newSeries(max int) series {
	return series{max: max, values: make(map[attribute.Distinct]*value)}
}

// begin starts a new round of values.
func (s *series) begin(now time.Time) {
	s.now, s.live = now, 0
	for _, v := range s.values {
		v.sum = 0
	}
}

// has reports whether set has a value in this round.
func (s *series) has(set attribute.Set) bool {
	v, ok := s.values[set.Equivalent()]
	return ok && v.sum > 0
}

func (s *series) add(n int, set attribute.Set) {
	v, ok := s.values[set.Equivalent()]
	if !ok {
		v = &value{attrs: metric.WithAttributeSet(set)}
		s.values[set.Equivalent()] = v
	}
	if v.sum == 0 && n > 0 {
		s.live++
	}
	v.sum += n
	v.last = s.now
}

// end removes attribute sets that have been at 0 for longer than fade or that
// exceed max. It returns the observations. Sets with a value come first,
// because an SDK that limits the number of series keeps those observed first.
func (s *series) end() []observation[int64] {
	live := make([]observation[int64], 0, len(s.values))
	var zero []observation[int64]
	for key, v := range s.values {
		switch {
		case v.sum > 0:
			live = append(live, observation[int64]{int64(v.sum), v.attrs})
		case s.now.Sub(v.last) > fade:
			delete(s.values, key)
		case s.live+len(zero) >= s.max:
			delete(s.values, key)
		default:
			zero = append(zero, observation[int64]{0, v.attrs})
		}
	}
	return append(live, zero...)
}
