// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectortest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/detectors"
)

// negative matches numbers below 0, and spans of time that say nothing.
var negative = regexp.MustCompile(`(^| )-\d|\b0 s ago|\b(for|within|least|last) 0 s\b`)

// checkTexts returns an error if what a finding says to people cannot be true, or
// is no sentence.
func checkTexts(f *detectors.Finding) error {
	said := append([]string{f.Message}, f.Evidence...)
	if f.Advice != "" {
		said = append(said, f.Advice)
	}
	for _, s := range said {
		switch {
		case !strings.HasSuffix(s, "."):
			return fmt.Errorf("%q does not end with a full stop", s)
		case negative.MatchString(s):
			return fmt.Errorf("%q has a number that cannot be", s)
		}
	}
	switch {
	case f.Age < 0:
		return fmt.Errorf("the age is %v", f.Age)
	case !(f.GrowthPerMinute >= 0): // also NaN
		return fmt.Errorf("the growth is %v", f.GrowthPerMinute)
	case len(f.IDs) > f.Count:
		return fmt.Errorf("there are %d IDs of %d goroutines", len(f.IDs), f.Count)
	}
	return checkParticipants(f.Participants)
}

var roles = []detectors.Role{detectors.RoleCause, detectors.RoleHolder, detectors.RoleWaiter, detectors.RoleAffected, detectors.RoleCompanion}

func checkParticipants(all []detectors.Participant) error {
	if len(all) > detectors.MaxParticipants {
		return fmt.Errorf("there are %d participants", len(all))
	}
	for i := range all {
		p := &all[i]
		switch {
		case !slices.Contains(roles, p.Role):
			return fmt.Errorf("a participant has the role %q", p.Role)
		case p.Stack == nil || p.Count <= 0 || len(p.IDs) > p.Count:
			return fmt.Errorf("a participant has no stack or no goroutine, or more IDs than goroutines: %s", p)
		case strings.HasSuffix(p.Note, "."):
			return fmt.Errorf("the note %q ends with a full stop", p.Note)
		case negative.MatchString(p.Note):
			return fmt.Errorf("the note %q has a number that cannot be", p.Note)
		}
	}
	return nil
}
