// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func made(job int, urls ...string) (f found) {
	for _, u := range urls {
		f.targets = append(f.targets, Target{URL: u, job: job, key: key(u, nil)})
	}
	return f
}

func urls(u Update) []string {
	all := []string{}
	for _, t := range u.Targets {
		all = append(all, t.URL)
	}
	return all
}

func TestUpdatesAreInOrderAndTargetsOnce(t *testing.T) {
	s := &set{most: 10}
	a := made(0, "d", "b", "b")
	a.dropped, a.invalid = 3, []invalid{{}}
	u, changed := s.update([]found{a, made(1, "a", "b")})
	require.True(t, changed)
	assert.Equal(t, []string{"b", "d", "a"}, urls(u))
	assert.Equal(t, counts{dropped: 3, invalid: 1, duplicates: 2}, u.counts())
}

func TestTargetsDifferByTheirLabels(t *testing.T) {
	s := &set{most: 10}
	at := func(v string) Target { return Target{URL: "a", key: key("a", map[string]string{"v": v})} }
	u, _ := s.update([]found{{targets: []Target{at("1"), at("2"), at("1")}}})
	assert.Len(t, u.Targets, 2)
	assert.Equal(t, 1, u.Duplicates)
	assert.NotEqual(t, at("1").Key(), at("2").Key())
}

func TestNothingChangedIsNoUpdate(t *testing.T) {
	s := &set{most: 10}
	_, changed := s.update(nil)
	assert.True(t, changed, "the first one, although there is nothing")
	_, changed = s.update(nil)
	assert.False(t, changed)
	_, changed = s.update([]found{made(0, "a", "b")})
	assert.True(t, changed)
	_, changed = s.update([]found{made(0, "b", "a")})
	assert.False(t, changed)
	_, changed = s.update([]found{made(0, "b", "c")})
	assert.True(t, changed, "as many, and others")
	dropping := made(0, "b", "c")
	dropping.dropped = 1
	_, changed = s.update([]found{dropping})
	assert.True(t, changed, "the numbers")
}

func TestTargetsBeyondTheGreatestNumberDoNotReplaceOthers(t *testing.T) {
	s := &set{most: 2}
	u, _ := s.update([]found{made(0, "m", "n")})
	assert.Zero(t, u.Beyond)
	u, _ = s.update([]found{made(0, "a", "m", "n", "z")})
	assert.Equal(t, []string{"m", "n"}, urls(u))
	assert.Equal(t, 2, u.Beyond)
	u, _ = s.update([]found{made(0, "a", "n", "z")})
	assert.Equal(t, []string{"a", "n"}, urls(u), "one has left: the first takes its place")
	assert.Equal(t, 1, u.Beyond)
	u, _ = s.update([]found{made(0, "b", "c", "d")})
	assert.Equal(t, []string{"b", "c"}, urls(u))
}

func TestInvalidTargetsAreToldOnce(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	log := zap.New(core)
	bad := func(addresses ...string) []found {
		f := found{}
		for _, a := range addresses {
			f.invalid = append(f.invalid, invalid{"j", a, assert.AnError})
		}
		return []found{f}
	}
	said := func() int { return len(logs.TakeAll()) }
	var told told
	told.invalid(log, bad("a", "a"))
	assert.Equal(t, 1, said())
	told.invalid(log, bad("a", "b"))
	assert.Equal(t, 1, said())
	told.invalid(log, bad("b"))
	assert.Equal(t, 0, said())
	told.invalid(log, bad("a"))
	assert.Equal(t, 1, said(), "it was gone")

	many := make([]string, 3*maxSaid)
	for i := range many {
		many[i] = "many" + string(rune('a'+i))
	}
	told.invalid(log, bad(many...))
	assert.Equal(t, maxAtOnce+1, said())
	assert.Len(t, told.targets, maxSaid)
}

func TestTargetsBeyondAreToldOnChange(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	log := zap.New(core)
	var told told
	for _, beyond := range []int{0, 3, 4, 0, 0} {
		told.beyond(log, beyond, 10)
	}
	all := logs.TakeAll()
	require.Len(t, all, 2)
	assert.Contains(t, all[0].Message, "Raise max_targets")
	assert.EqualValues(t, 3, all[0].ContextMap()["left_out"])
	assert.Contains(t, all[1].Message, "within max_targets again")
}
