// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pprofotlp

import (
	"crypto/rand"

	"github.com/google/pprof/profile"
	profilespb "go.opentelemetry.io/proto/otlp/profiles/v1development"
	"google.golang.org/protobuf/proto"

	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// Translate reads a goroutine profile, as written by the runtime with debug=0 or by this
// project, compressed or not, and returns it as OTLP. The resource is left to the caller.
// An error says what is wrong with the profile.
func Translate(pprof []byte, o Options) (*profilespb.ProfilesData, error) {
	p, value, err := parse.Pprof(pprof)
	if err != nil {
		return nil, err
	}
	return translate(p, value, o), nil
}

// Marshal is [Translate] to the encoding that package pprofile of the Collector reads
// (pprofile.ProtoUnmarshaler).
func Marshal(pprof []byte, o Options) ([]byte, error) {
	data, err := Translate(pprof, o)
	if err != nil {
		return nil, err
	}
	return proto.Marshal(data)
}

// translate keeps fewer samples until the result is small enough. What takes most of it,
// names and lines, grows with the samples.
func translate(p *profile.Profile, value int, o Options) *profilespb.ProfilesData {
	if o.ID == [16]byte{} {
		rand.Read(o.ID[:]) // never fails
	}
	samples := merge(p, value, &o)
	for keep := o.maxSamples(); ; {
		kept, rest := cut(samples, keep)
		data := build(p, value, kept, rest, &o)
		size := proto.Size(data)
		if size <= o.maxBytes() || len(kept) == 0 {
			return data
		}
		keep = int(int64(len(kept)) * int64(o.maxBytes()) / int64(size) * 9 / 10)
	}
}

// build returns the profile with these samples, and rest goroutines at [_OTHER].
func build(p *profile.Profile, value int, kept []sample, rest int64, o *Options) *profilespb.ProfilesData {
	d := newDictionary()
	out := &profilespb.Profile{
		ProfileId:    o.ID[:],
		SampleType:   d.valueType(p.SampleType[value]),
		PeriodType:   d.valueType(p.PeriodType),
		Period:       p.Period,
		TimeUnixNano: timeOf(p, o),
		DurationNano: uint64(max(p.DurationNanos, 0)),
	}
	for i := range kept {
		d.add(out, d.sample(&kept[i]))
	}
	if rest > 0 {
		d.add(out, d.rest(rest))
	}
	out.AttributeIndices = d.profileAttributes(p, o)
	return &profilespb.ProfilesData{
		Dictionary: d.tables(),
		ResourceProfiles: []*profilespb.ResourceProfiles{{
			ScopeProfiles: []*profilespb.ScopeProfiles{{
				Scope:     scope(),
				SchemaUrl: telemetry.SchemaURL,
				Profiles:  []*profilespb.Profile{out},
			}},
		}},
	}
}

// timeOf returns when the profile was taken, or 0 if that is not known.
func timeOf(p *profile.Profile, o *Options) uint64 {
	switch {
	case p.TimeNanos > 0:
		return uint64(p.TimeNanos)
	case o.Time.IsZero():
		return 0
	}
	return uint64(max(o.Time.UnixNano(), 0))
}
