// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// A Filter says that a report or a diff describes only some of the goroutines. Findings
// and health are about all of them.
type Filter struct {
	Conditions []string `json:"conditions"` // all of them hold
	Shown      int      `json:"shown"`      // goroutines that are described
	Total      int      `json:"total"`      // goroutines of the snapshot
}

// count returns f with the numbers of two snapshots, or nil if f is nil.
func (f *Filter) count(shown, whole *goroutine.Snapshot) *Filter {
	if f == nil || whole == nil {
		return nil
	}
	return &Filter{Conditions: f.Conditions, Shown: shown.Total, Total: whole.Total}
}

func (f *Filter) write(p *printer) {
	if f != nil {
		p.line(2, "%s %s. %d of %d goroutines are shown; findings and health are about all.",
			p.paint(RoleTitle, "Filter:"), strings.Join(f.Conditions, " and "), f.Shown, f.Total)
	}
}
