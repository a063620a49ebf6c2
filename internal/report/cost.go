// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

// A Cost is the cost of taking snapshots.
type Cost struct {
	Interval  float64   `json:"interval_seconds"` // between snapshots, as configured
	Budget    float64   `json:"budget_share"`     // share of one core that snapshots may take
	Share     float64   `json:"share"`            // share of the time that was spent on snapshots, over the history
	Snapshots uint64    `json:"snapshots"`        // number of snapshots taken
	Skipped   []Skipped `json:"skipped"`          // by source and reason
}

// A Skip is a snapshot that was not taken, and the reason, as in
// goroutine.snapshot.skip_reason.
type Skip struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
}

// Skipped is how many snapshots were not taken for one reason.
type Skipped struct {
	Skip
	Count int `json:"count"`
}
