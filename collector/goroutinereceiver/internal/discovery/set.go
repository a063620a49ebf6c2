// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"slices"
)

// An Update is everything that is known after a change.
type Update struct {
	// Targets are the targets to read from now on, in the order of the jobs in the
	// configuration, and of URLs and labels within a job. What is not among them any
	// more is gone.
	Targets []Target
	// Dropped is the number of discovered addresses that relabeling dropped.
	Dropped int
	// Invalid is the number of addresses that relabeling kept and that cannot be
	// read, such as one without a port in its URL's place. The log names them.
	Invalid int
	// Duplicates is the number of targets left out because one with the same URL and
	// labels is among Targets.
	Duplicates int
	// Beyond is the number of targets left out because of Options.MaxTargets.
	Beyond int
}

// counts is an Update without its targets.
type counts struct{ dropped, invalid, duplicates, beyond int }

func (u *Update) counts() counts { return counts{u.Dropped, u.Invalid, u.Duplicates, u.Beyond} }

// A set turns what jobs have found into updates.
type set struct {
	most int
	now  map[string]bool // the keys of the targets of the last update
	last counts
	told bool // an update has been made
}

// update returns false if nothing has changed.
func (s *set) update(jobs []found) (Update, bool) {
	var u Update
	u.Targets, u.Duplicates = distinct(jobs)
	u.Targets, u.Beyond = s.bound(u.Targets)
	for _, f := range jobs {
		u.Dropped += f.dropped
		u.Invalid += len(f.invalid)
	}
	keys := make(map[string]bool, len(u.Targets))
	for _, t := range u.Targets {
		keys[t.key] = true
	}
	same := s.told && u.counts() == s.last && s.same(keys)
	s.now, s.last, s.told = keys, u.counts(), true
	return u, !same
}

func (s *set) same(keys map[string]bool) bool {
	if len(keys) != len(s.now) {
		return false
	}
	for k := range keys {
		if !s.now[k] {
			return false
		}
	}
	return true
}

// distinct returns the targets of all jobs in order, each once.
func distinct(jobs []found) (all []Target, duplicates int) {
	seen := make(map[string]bool)
	for _, f := range jobs {
		for _, t := range f.targets {
			if seen[t.key] {
				duplicates++
				continue
			}
			seen[t.key] = true
			all = append(all, t)
		}
	}
	slices.SortFunc(all, compare)
	return all, duplicates
}

// bound leaves out what is beyond the greatest number. Targets of the last update
// stay: if new ones took their places, both would begin anew with every change.
func (s *set) bound(all []Target) (kept []Target, beyond int) {
	if len(all) <= s.most {
		return all, 0
	}
	room := s.most
	for _, t := range all {
		if s.now[t.key] {
			room--
		}
	}
	for _, t := range all {
		switch {
		case s.now[t.key]:
		case room > 0:
			room--
		default:
			beyond++
			continue
		}
		kept = append(kept, t)
	}
	return kept, beyond
}
