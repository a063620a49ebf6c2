// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/report"
)

// countsEvery is how often a stream sends the counts, so that a page moves between two
// snapshots.
const countsEvery = time.Second

// A Counts is what the runtime counts at one moment, without a snapshot and without a
// stop of the world.
type Counts struct {
	Time       time.Time `json:"time"`
	Goroutines int       `json:"goroutines"`
	report.Scheduler
}

// countsNow reads the counts.
//
// To read and encode them takes 2.4 µs (BenchmarkCounts), whatever the number of
// goroutines: a millionth of a core or two for each open page. The budget is for what
// the monitor does by itself, and what pages ask for is not charged to it.
func countsNow() Counts {
	return Counts{time.Now().UTC().Truncate(time.Millisecond), runtime.NumGoroutine(), report.Scheduler(capture.ReadScheduler())}
}

// counts sends the counts of now.
func (p *page) counts(s *sender) (sent bool) {
	body, err := json.Marshal(countsNow())
	if err != nil {
		return false
	}
	return s.send(fmt.Sprintf("event: counts\ndata: %s\n\n", body))
}
