package report

// A Cost is what taking snapshots costs.
type Cost struct {
	Interval  float64   `json:"interval_seconds"` // between snapshots, as configured
	Budget    float64   `json:"budget_share"`     // share of one core that snapshots may take
	Share     float64   `json:"share"`            // of the time that snapshots took, over the history
	Snapshots uint64    `json:"snapshots"`        // taken
	Skipped   []Skipped `json:"skipped"`          // by source and reason
}

// A Skip is why a snapshot was not taken.
type Skip struct {
	Source string `json:"source"`
	Reason string `json:"reason"`
}

// Skipped is how many snapshots were not taken for one reason.
type Skipped struct {
	Skip
	Count int `json:"count"`
}
