// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/otlpprofiles/pprofotlp"
)

// Why a profile is sent: values of the attribute goroutine.profile.cause.
const (
	causeFinding  = "finding"
	causePeriodic = "periodic"
)

// profiles makes OTLP profiles of snapshots of one target, and keeps them until they are
// handed over: at most one of a finding and one at an interval for each snapshot. Its
// methods are called by the goroutine of the target.
type profiles struct {
	every    time.Duration // between periodic ones; 0: there are none
	last     time.Time     // of the last profile, whatever its cause
	resource func() pcommon.Resource

	waiting []pprofile.Profiles
	failed  error // of the newest snapshot
}

// ofFindings makes the profile that belongs to findings, and returns its ID, or zero.
func (p *profiles) ofFindings(s *goroutine.Snapshot, of []detectors.Finding) [16]byte {
	return p.make(causeFinding, s, of)
}

// periodic makes a profile of a snapshot if one is due. One of a finding counts.
func (p *profiles) periodic(s *goroutine.Snapshot) {
	if p.every > 0 && s != nil && s.Time.Sub(p.last) >= p.every {
		p.make(causePeriodic, s, nil)
	}
}

// make makes a profile. Its ID is zero if that failed, so that no event names a profile
// that there is not.
func (p *profiles) make(cause string, s *goroutine.Snapshot, of []detectors.Finding) (id [16]byte) {
	data, id, err := profileOf(cause, s, of)
	if err != nil {
		p.failed = fmt.Errorf("making a profile: %w", err)
		return [16]byte{}
	}
	for i := range data.ResourceProfiles().Len() {
		p.resource().CopyTo(data.ResourceProfiles().At(i).Resource())
	}
	p.waiting, p.last = append(p.waiting, data), s.Time
	return id
}

// profileOf translates a snapshot. pprof labels are left out: snapshots from outside have
// none, unless a dump was asked for.
func profileOf(cause string, s *goroutine.Snapshot, of []detectors.Finding) (data pprofile.Profiles, id [16]byte, err error) {
	var pprof bytes.Buffer
	if err := parse.WriteProfile(&pprof, s); err != nil {
		return data, id, err
	}
	o := pprofotlp.For(cause, of)
	_, _ = rand.Read(id[:]) // never fails
	o.ID, o.Time = id, s.Time
	encoded, err := pprofotlp.Marshal(pprof.Bytes(), o)
	if err != nil {
		return data, id, err
	}
	data, err = (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encoded)
	return data, id, err
}

// take returns what waits, and what went wrong since the last time.
func (p *profiles) take() (all []pprofile.Profiles, err error) {
	all, err = p.waiting, p.failed
	p.waiting, p.failed = nil, nil
	return all, err
}

// flushProfiles hands over the profiles. Those that are refused are lost: they are large,
// and the next finding has another.
func (p *pipeline) flushProfiles(ctx context.Context) error {
	if p.next.profiles == nil {
		return nil
	}
	all, err := p.profiles.take()
	for _, data := range all {
		n := data.SampleCount()
		ctx := p.own.reports.StartProfilesOp(ctx)
		refusal := p.next.profiles.ConsumeProfiles(ctx, data)
		p.own.reports.EndProfilesOp(ctx, format, n, refusal)
		if refusal != nil {
			p.own.droppedProfile(ctx)
			err = fmt.Errorf("a profile was refused and is lost: %w", refusal)
		}
	}
	return err
}
