// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pprofotlp

import (
	"encoding/binary"
	"strings"

	"github.com/google/pprof/profile"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	profilespb "go.opentelemetry.io/proto/otlp/profiles/v1development"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// maxString is how many bytes of a string are kept: the end, which tells most of a
// function or a path.
const maxString = 1 << 10

// A table holds each different element once. The element at index 0 is the zero value.
type table[T any] struct {
	index map[string]int32
	list  []T
}

// newTable returns a table that has the zero value. key is that of the zero value.
func newTable[T any](key string, zero T) table[T] {
	return table[T]{map[string]int32{key: 0}, []T{zero}}
}

// of returns the index of the element with this key.
func (t *table[T]) of(key []byte, element func() T) int32 {
	i, known := t.index[string(key)]
	if !known {
		i = int32(len(t.list)) // a profile has at most 256 MiB
		t.index[string(key)] = i
		t.list = append(t.list, element())
	}
	return i
}

// A dictionary is what the parts of a profile refer to.
type dictionary struct {
	strings    table[string]
	attributes table[*profilespb.KeyValueAndUnit]
	mappings   table[*profilespb.Mapping]
	functions  table[*profilespb.Function]
	locations  table[*profilespb.Location]
	stacks     table[*profilespb.Stack]
	links      table[*profilespb.Link]

	// What is already in a table: most locations are on many stacks.
	knownLocations map[*profile.Location]int32
	knownMappings  map[*profile.Mapping]int32
	knownFunctions map[*profile.Function]int32
	frameType      int32 // the attribute of every location; 0 until there is one

	samples map[string]*profilespb.Sample // by their identity
}

func newDictionary() *dictionary {
	return &dictionary{
		strings:    newTable("", ""),
		attributes: newTable("", &profilespb.KeyValueAndUnit{}),
		mappings:   newTable(string(numbers[uint64](0, 0, 0, 0)), &profilespb.Mapping{}),
		functions:  newTable(string(numbers[int64](0, 0, 0, 0)), &profilespb.Function{}),
		locations:  newTable("", &profilespb.Location{}),
		stacks:     newTable("", &profilespb.Stack{}),
		links:      newTable(string(make([]byte, 24)), &profilespb.Link{TraceId: make([]byte, 16), SpanId: make([]byte, 8)}),

		knownLocations: make(map[*profile.Location]int32),
		knownMappings:  make(map[*profile.Mapping]int32),
		knownFunctions: make(map[*profile.Function]int32),
		samples:        make(map[string]*profilespb.Sample),
	}
}

// tables returns the dictionary as a message.
func (d *dictionary) tables() *profilespb.ProfilesDictionary {
	return &profilespb.ProfilesDictionary{
		MappingTable:   d.mappings.list,
		LocationTable:  d.locations.list,
		FunctionTable:  d.functions.list,
		LinkTable:      d.links.list,
		StringTable:    d.strings.list,
		AttributeTable: d.attributes.list,
		StackTable:     d.stacks.list,
	}
}

// numbers returns a key.
func numbers[N int32 | int64 | uint64](list ...N) (key []byte) {
	for _, n := range list {
		key = binary.AppendUvarint(key, uint64(n))
	}
	return key
}

// clipped returns the end of a string as valid UTF-8.
func clipped(s string) string {
	return strings.ToValidUTF8(s[max(len(s)-maxString, 0):], "\uFFFD")
}

func (d *dictionary) string(s string) int32 {
	s = clipped(s)
	return d.strings.of([]byte(s), func() string { return s })
}

func (d *dictionary) valueType(t *profile.ValueType) *profilespb.ValueType {
	if t == nil {
		return nil
	}
	return &profilespb.ValueType{TypeStrindex: d.string(t.Type), UnitStrindex: d.string(t.Unit)}
}

// add adds a sample to a profile, or its value to a sample of the same identity: different
// locations of pprof may be the same one here.
func (d *dictionary) add(to *profilespb.Profile, s *profilespb.Sample) {
	key := string(append(numbers(s.StackIndex, s.LinkIndex), numbers(s.AttributeIndices...)...))
	if same := d.samples[key]; same != nil {
		same.Values[0] = add(same.Values[0], s.Values[0])
		return
	}
	d.samples[key] = s
	to.Samples = append(to.Samples, s)
}

func (d *dictionary) sample(s *sample) *profilespb.Sample {
	out := &profilespb.Sample{
		StackIndex: d.stack(s.locations),
		LinkIndex:  d.link(s.link),
		Values:     []int64{s.value},
	}
	if s.state != "" {
		out.AttributeIndices = append(out.AttributeIndices, d.text(telemetry.AttrDetailedState, s.state))
	}
	for _, l := range s.labels {
		out.AttributeIndices = append(out.AttributeIndices, d.text(telemetry.LabelAttribute(l.Key), l.Value))
	}
	return out
}

// rest returns a sample for goroutines whose stacks are left out.
func (d *dictionary) rest(value int64) *profilespb.Sample {
	other := &profile.Location{Line: []profile.Line{{Function: &profile.Function{Name: "[" + string(goroutine.OtherStacks) + "]"}}}}
	return &profilespb.Sample{StackIndex: d.stack([]*profile.Location{other}), Values: []int64{value}}
}

func (d *dictionary) link(l Link) int32 {
	return d.links.of(append(l.TraceID[:], l.SpanID[:]...), func() *profilespb.Link {
		return &profilespb.Link{TraceId: l.TraceID[:], SpanId: l.SpanID[:]}
	})
}

func (d *dictionary) stack(locations []*profile.Location) int32 {
	indices := make([]int32, len(locations))
	for i, l := range locations {
		indices[i] = d.location(l)
	}
	return d.stacks.of(numbers(indices...), func() *profilespb.Stack {
		return &profilespb.Stack{LocationIndices: indices}
	})
}

func (d *dictionary) location(l *profile.Location) int32 {
	if i, known := d.knownLocations[l]; known {
		return i
	}
	if d.frameType == 0 {
		d.frameType = d.text(frameType, frameTypeGo)
	}
	out := &profilespb.Location{MappingIndex: d.mapping(l.Mapping), Address: l.Address, AttributeIndices: []int32{d.frameType}}
	if l.IsFolded {
		out.AttributeIndices = append(out.AttributeIndices, d.flag(isFolded))
	}
	key := numbers(uint64(out.MappingIndex), l.Address, uint64(len(out.AttributeIndices)))
	for _, line := range l.Line[:min(len(l.Line), maxFrames)] {
		to := &profilespb.Line{FunctionIndex: d.function(line.Function), Line: max(line.Line, 0), Column: max(line.Column, 0)}
		out.Lines = append(out.Lines, to)
		key = append(key, numbers(int64(to.FunctionIndex), to.Line, to.Column)...)
	}
	i := d.locations.of(key, func() *profilespb.Location { return out })
	d.knownLocations[l] = i
	return i
}

func (d *dictionary) function(f *profile.Function) int32 {
	if f == nil {
		return 0
	}
	if i, known := d.knownFunctions[f]; known {
		return i
	}
	out := &profilespb.Function{
		NameStrindex:       d.string(f.Name),
		SystemNameStrindex: d.string(f.SystemName),
		FilenameStrindex:   d.string(f.Filename),
		StartLine:          max(f.StartLine, 0),
	}
	key := numbers(int64(out.NameStrindex), int64(out.SystemNameStrindex), int64(out.FilenameStrindex), out.StartLine)
	i := d.functions.of(key, func() *profilespb.Function { return out })
	d.knownFunctions[f] = i
	return i
}

func (d *dictionary) mapping(m *profile.Mapping) int32 {
	if m == nil {
		return 0
	}
	if i, known := d.knownMappings[m]; known {
		return i
	}
	out := &profilespb.Mapping{MemoryStart: m.Start, MemoryLimit: m.Limit, FileOffset: m.Offset, FilenameStrindex: d.string(m.File)}
	out.AttributeIndices = d.mappingAttributes(m)
	key := numbers(m.Start, m.Limit, m.Offset, uint64(out.FilenameStrindex))
	key = append(key, numbers(out.AttributeIndices...)...)
	i := d.mappings.of(key, func() *profilespb.Mapping { return out })
	d.knownMappings[m] = i
	return i
}

func scope() *commonpb.InstrumentationScope {
	return &commonpb.InstrumentationScope{Name: telemetry.ScopeName, Version: telemetry.Version}
}
