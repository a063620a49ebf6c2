// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"fmt"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// String says how many goroutines p has, where they are, in which state, who
// created them, and the note: a clause without a full stop. It does not name the
// role.
func (p *Participant) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s", goroutines(p.Count), p.where())
	if p.State != "" {
		fmt.Fprintf(&b, " in %s", p.State)
	}
	if p.CreatedBy.Function != "" {
		fmt.Fprintf(&b, ", created by %s", line(p.CreatedBy))
	}
	if p.Note != "" {
		b.WriteString(": " + p.Note)
	}
	return b.String()
}

func (p *Participant) where() string {
	if p.Stack == nil {
		return where(new(goroutine.Stack))
	}
	return where(p.Stack)
}

// Title returns the role in words, for lists.
func (r Role) Title() string {
	switch r {
	case RoleWaiter:
		return "waiting"
	case RoleAffected:
		return "also stopped"
	case RoleCompanion:
		return "came with them"
	}
	return string(r)
}
