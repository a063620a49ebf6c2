// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/grafana/pyroscope-go"
)

// A pyroscopeServer checks the uploads of Pyroscope's profiler. It is the
// profiler's logger, too.
type pyroscopeServer struct {
	ledger
	cpu cpuTime

	mu    sync.Mutex
	spans map[string][]timeSpan // by the kind of profile
}

type timeSpan struct{ from, until int64 } // Unix time in ns

// startPyroscope starts Pyroscope's profiler with all profile types but CPU where
// another has it.
func (h *host) startPyroscope(_ context.Context, p phase, s settings) (*neighbour, error) {
	u := &pyroscopeServer{ledger: ledger{name: "pyroscope-go", unit: "profiles"}, spans: make(map[string][]timeSpan)}
	types := []pyroscope.ProfileType{
		pyroscope.ProfileAllocObjects, pyroscope.ProfileAllocSpace, pyroscope.ProfileInuseObjects, pyroscope.ProfileInuseSpace,
		pyroscope.ProfileGoroutines, pyroscope.ProfileMutexCount, pyroscope.ProfileMutexDuration, pyroscope.ProfileBlockCount, pyroscope.ProfileBlockDuration,
	}
	if p.cpu == u.name {
		types = append(types, pyroscope.ProfileCPU)
	}
	receive(&h.ingest, &u.ledger, u.take)
	running, err := pyroscope.Start(pyroscope.Config{
		ApplicationName: "neighbours", ServerAddress: h.receiver.url, UploadRate: s.pyroscope, ProfileTypes: types, Logger: u,
	})
	if err != nil {
		return nil, err
	}
	return &neighbour{&u.ledger, func() error {
		err := running.Stop()
		u.checks.Wait()
		u.ended(p.cpu == u.name)
		return err
	}}, nil
}

func (*pyroscopeServer) Infof(string, ...any)  {}
func (*pyroscopeServer) Debugf(string, ...any) {}

// Errorf is called when a profile is lost.
func (u *pyroscopeServer) Errorf(format string, args ...any) { u.fault(format, args...) }

// take checks an upload.
func (u *pyroscopeServer) take(query url.Values, form *multipart.Form) error {
	kind, err := kindOf(form)
	if err != nil {
		return err
	}
	data, err := part(form, "profile")
	if err != nil {
		return err
	}
	from, bad := strconv.ParseInt(query.Get("from"), 10, 64)
	until, worse := strconv.ParseInt(query.Get("until"), 10, 64)
	if err := errors.Join(bad, worse); err != nil {
		return err
	}
	u.mu.Lock()
	u.spans[kind] = append(u.spans[kind], timeSpan{from, until})
	u.mu.Unlock()
	if err := u.profile(kind, data); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

// The kinds of profiles, by the names of their sample types.
const (
	kindCPU        = "cpu"
	kindGoroutines = "goroutine"
	kindHeap       = "alloc_objects+alloc_space+inuse_objects+inuse_space"
)

// kindOf returns the kind of the profile in an upload. A CPU profile says
// nothing about its samples.
func kindOf(form *multipart.Form) (string, error) {
	const name = "sample_type_config"
	if len(form.File[name]) == 0 {
		return kindCPU, nil
	}
	config, err := part(form, name)
	if err != nil {
		return "", err
	}
	var types map[string]struct {
		Name string `json:"display-name"`
	}
	if err := json.Unmarshal(config, &types); err != nil {
		return "", err
	}
	var names []string
	for key, t := range types {
		names = append(names, cmp.Or(t.Name, key))
	}
	slices.Sort(names)
	return strings.Join(names, "+"), nil
}

// profile checks a profile.
func (u *pyroscopeServer) profile(kind string, data []byte) error {
	switch kind {
	case kindCPU:
		return u.cpu.check(data)
	case kindGoroutines:
		return checkGoroutines(data)
	}
	_, err := checkProfile(data, kind != kindHeap) // there may have been no contention
	return err
}

// ended checks that no time is missing between the profiles of each kind.
func (u *pyroscopeServer) ended(cpu bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for kind, spans := range u.spans {
		u.note("%d of %s", len(spans), kind)
		slices.SortFunc(spans, func(a, b timeSpan) int { return cmp.Compare(a.from, b.from) })
		for i, s := range spans[1:] {
			if kind != kindCPU && s.from != spans[i].until { // the CPU profile is restarted in between
				u.fault("%s: %d ns are missing between profiles %d and %d", kind, s.from-spans[i].until, i, i+1)
			}
		}
	}
	if cpu {
		u.cpu.ended(&u.ledger)
	}
}
