// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pprofotlp

import (
	"slices"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	profilespb "go.opentelemetry.io/proto/otlp/profiles/v1development"
	"google.golang.org/protobuf/proto"

	"github.com/otelgoroutine/go/otlpprofiles/internal/attributes"
)

// maxComments is how many comments of a profile are kept.
const maxComments = 16

// attribute returns the index of an attribute.
func (d *dictionary) attribute(kv attribute.KeyValue) int32 {
	value := attributes.Value(kv.Value)
	encoded, _ := proto.MarshalOptions{Deterministic: true}.Marshal(value) // cannot fail: its strings are valid UTF-8
	name := d.string(string(kv.Key))
	return d.attributes.of(append(numbers(name), encoded...), func() *profilespb.KeyValueAndUnit {
		return &profilespb.KeyValueAndUnit{KeyStrindex: name, Value: value}
	})
}

func (d *dictionary) text(key, value string) int32 {
	return d.attribute(attribute.String(key, clipped(value)))
}

func (d *dictionary) flag(key attribute.Key) int32 { return d.attribute(key.Bool(true)) }

const (
	frameType   = string(semconv.ProfileFrameTypeKey)
	frameTypeGo = "go"
	isFolded    = semconv.PprofLocationIsFoldedKey
)

func (d *dictionary) mappingAttributes(m *profile.Mapping) (indices []int32) {
	for _, a := range []struct {
		has bool
		key attribute.Key
	}{
		{m.HasFunctions, semconv.PprofMappingHasFunctionsKey},
		{m.HasFilenames, semconv.PprofMappingHasFilenamesKey},
		{m.HasLineNumbers, semconv.PprofMappingHasLineNumbersKey},
		{m.HasInlineFrames, semconv.PprofMappingHasInlineFramesKey},
	} {
		if a.has {
			indices = append(indices, d.flag(a.key))
		}
	}
	if m.BuildID != "" {
		indices = append(indices, d.text(string(semconv.ProcessExecutableBuildIDGoKey), m.BuildID))
	}
	return indices
}

// profileAttributes returns those of the options, and what pprof says of the profile.
func (d *dictionary) profileAttributes(p *profile.Profile, o *Options) (indices []int32) {
	for _, kv := range o.Attributes {
		indices = append(indices, d.attribute(kv))
	}
	for _, a := range []struct {
		key   attribute.Key
		value string
	}{
		{semconv.PprofProfileDropFramesKey, p.DropFrames},
		{semconv.PprofProfileKeepFramesKey, p.KeepFrames},
		{semconv.PprofProfileDocURLKey, p.DocURL},
	} {
		if a.value != "" {
			indices = append(indices, d.text(string(a.key), a.value))
		}
	}
	if len(p.Comments) > 0 {
		comments := slices.Clone(p.Comments[:min(len(p.Comments), maxComments)])
		for i := range comments {
			comments[i] = clipped(comments[i])
		}
		indices = append(indices, d.attribute(semconv.PprofProfileCommentKey.StringSlice(comments)))
	}
	return indices
}
