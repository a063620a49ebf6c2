// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pprofotlp

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/otlpprofiles/internal/received"
)

// receive translates a profile and reads the result as the Collector does.
func receive(t testing.TB, data []byte, o Options) pprofile.Profiles {
	t.Helper()
	encoded, err := Marshal(data, o)
	require.NoError(t, err)
	got, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encoded)
	require.NoError(t, err)
	require.Empty(t, received.Check(got))
	return got
}

// only returns the profile of a message.
func only(t testing.TB, data pprofile.Profiles) pprofile.Profile {
	t.Helper()
	p, err := received.Only(data)
	require.NoError(t, err)
	return p
}

// written encodes a profile of pprof.
func written(t testing.TB, p *profile.Profile) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, p.Write(&b))
	return b.Bytes()
}

// stacksOf returns how many goroutines have each stack in a profile of pprof.
func stacksOf(p *profile.Profile, value int) map[string]int64 {
	counts := make(map[string]int64)
	for _, s := range p.Sample {
		if s.Value[value] <= 0 {
			continue
		}
		var frames []string
		for _, l := range s.Location[:min(len(s.Location), maxFrames)] {
			if len(l.Line) == 0 {
				frames = append(frames, received.Frame("", "", 0, l.Address))
			}
			for _, line := range l.Line[:min(len(l.Line), maxFrames)] {
				frames = append(frames, received.Frame(clipped(line.Function.Name), clipped(line.Function.Filename), max(line.Line, 0), l.Address))
			}
		}
		key := strings.Join(frames, "\n")
		counts[key] = add(counts[key], s.Value[value])
	}
	return counts
}

// requireSame requires that a translation has the stacks and counts of the original.
func requireSame(t testing.TB, original []byte, got pprofile.Profiles) {
	t.Helper()
	p, value, err := parse.Pprof(original)
	require.NoError(t, err)
	stacks, err := received.Stacks(got)
	require.NoError(t, err)
	require.Equal(t, stacksOf(p, value), stacks)
}

// running returns the runtime's own profile of this process, with goroutines in several
// states and with labels.
func running(t *testing.T) []byte {
	t.Helper()
	gate, started := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(gate) })
	for i := range 40 {
		labels := pprof.Labels("tenant", fmt.Sprint("t", i%4))
		go pprof.Do(t.Context(), labels, func(context.Context) {
			started <- struct{}{}
			if i%2 == 0 {
				<-gate
				return
			}
			select {
			case <-gate:
			case <-time.After(time.Hour):
			}
		})
		<-started
	}
	var b bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 0))
	return b.Bytes()
}

func TestRealProfilesKeepTheirCounts(t *testing.T) {
	originals := map[string][]byte{"this process": running(t)}
	files, err := filepath.Glob("../../internal/parse/testdata/profile/*/*.pb.gz")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		originals[file], err = os.ReadFile(file)
		require.NoError(t, err)
	}
	for name, original := range originals {
		t.Run(name, func(t *testing.T) {
			s, err := parse.Profile(original, time.Time{}, parse.NewStacks(), parse.Labels{})
			require.NoError(t, err)
			var ours bytes.Buffer
			require.NoError(t, parse.WriteProfile(&ours, s))
			for _, data := range [][]byte{original, ours.Bytes()} {
				got := receive(t, data, Options{})
				requireSame(t, data, got)
				total := int64(0)
				for _, sample := range only(t, got).Samples().All() {
					total += sample.Values().At(0)
				}
				assert.EqualValues(t, s.Total, total)
			}
		})
	}
}

// made is a profile in which everything is set that is translated.
func made() *profile.Profile {
	m := &profile.Mapping{ID: 1, Start: 0x400000, Limit: 0x800000, Offset: 0x1000, File: "/bin/shop", BuildID: "abc", HasFunctions: true, HasFilenames: true, HasLineNumbers: true, HasInlineFrames: true}
	outer := &profile.Function{ID: 1, Name: "main.serve", SystemName: "main.serve", Filename: "/src/main.go", StartLine: 10}
	inner := &profile.Function{ID: 2, Name: "main.wait", SystemName: "main.wait", Filename: "/src/wait.go", StartLine: 3}
	both := &profile.Location{ID: 1, Mapping: m, Address: 0x400100, Line: []profile.Line{{Function: inner, Line: 5, Column: 2}, {Function: outer, Line: 12}}, IsFolded: true}
	alone := &profile.Location{ID: 2, Mapping: m, Address: 0x400200, Line: []profile.Line{{Function: outer, Line: 14}}}
	unknown := &profile.Location{ID: 3, Address: 0x900000}
	count := &profile.ValueType{Type: "goroutine", Unit: "count"}
	return &profile.Profile{
		SampleType: []*profile.ValueType{count}, PeriodType: count, Period: 1,
		TimeNanos: 1_700_000_000_000_000_000, DurationNanos: 250,
		DropFrames: "drop", KeepFrames: "keep", DocURL: "https://example.com", Comments: []string{"a comment"},
		Mapping: []*profile.Mapping{m}, Function: []*profile.Function{outer, inner}, Location: []*profile.Location{both, alone, unknown},
		Sample: []*profile.Sample{
			{Location: []*profile.Location{alone, unknown}, Value: []int64{3}},
			{Location: []*profile.Location{both, alone}, Value: []int64{7}, Label: map[string][]string{
				parse.StateLabel: {"chan receive"}, "tenant": {"a"},
				"trace_id": {"0102030405060708090a0b0c0d0e0f10"}, "span_id": {"1112131415161718"},
			}},
			{Location: []*profile.Location{alone, unknown}, Value: []int64{4}, Label: map[string][]string{"tenant": {"b"}}},
			{Location: []*profile.Location{alone}, Value: []int64{0}},
		},
	}
}

var (
	traceID = [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	spanID  = [8]byte{17, 18, 19, 20, 21, 22, 23, 24}
)

func TestEverythingHasItsPlace(t *testing.T) {
	original := written(t, made())
	got := receive(t, original, Options{ID: [16]byte{0xab}, Attributes: []attribute.KeyValue{attribute.String("cause", "finding")}})
	requireSame(t, original, got)
	d, p := got.Dictionary(), only(t, got)
	scope := got.ResourceProfiles().At(0).ScopeProfiles().At(0)
	assert.Equal(t, "github.com/otelgoroutine/go/otelgoroutine", scope.Scope().Name())
	assert.NotEmpty(t, scope.Scope().Version())
	assert.NotEmpty(t, scope.SchemaUrl())

	assert.Equal(t, "goroutine", d.StringTable().At(int(p.SampleType().TypeStrindex())))
	assert.Equal(t, "count", d.StringTable().At(int(p.SampleType().UnitStrindex())))
	assert.Equal(t, "goroutine", d.StringTable().At(int(p.PeriodType().TypeStrindex())))
	assert.EqualValues(t, 1, p.Period())
	assert.EqualValues(t, 1_700_000_000_000_000_000, p.Time())
	assert.EqualValues(t, 250, p.DurationNano())
	assert.Equal(t, pprofile.ProfileID{0xab}, p.ProfileID())
	assert.Empty(t, p.OriginalPayloadFormat())
	assert.Equal(t, map[string]any{
		"cause": "finding", "pprof.profile.drop_frames": "drop", "pprof.profile.keep_frames": "keep",
		"pprof.profile.doc_url": "https://example.com", "pprof.profile.comment": []any{"a comment"},
	}, received.Attributes(d, p))

	require.Equal(t, 2, p.Samples().Len(), "samples that differ in labels that are not sent are one; one without goroutines is none")
	first, second := p.Samples().At(0), p.Samples().At(1)
	assert.Equal(t, []int64{7, 7}, []int64{first.Values().At(0), second.Values().At(0)})
	if len(received.Frames(d, first)) != 3 {
		first, second = second, first
	}
	assert.Equal(t, map[string]any{"goroutine.detailed_state": "chan receive"}, received.Attributes(d, first))
	link := d.LinkTable().At(int(first.LinkIndex()))
	assert.EqualValues(t, traceID, link.TraceID())
	assert.EqualValues(t, spanID, link.SpanID())
	assert.Zero(t, second.LinkIndex())

	require.Equal(t, 2, d.MappingTable().Len())
	m := d.MappingTable().At(1)
	assert.Equal(t, []uint64{0x400000, 0x800000, 0x1000}, []uint64{m.MemoryStart(), m.MemoryLimit(), m.FileOffset()})
	assert.Equal(t, "/bin/shop", d.StringTable().At(int(m.FilenameStrindex())))
	assert.Equal(t, map[string]any{
		"pprof.mapping.has_functions": true, "pprof.mapping.has_filenames": true, "pprof.mapping.has_line_numbers": true,
		"pprof.mapping.has_inline_frames": true, "process.executable.build_id.go": "abc",
	}, received.Attributes(d, m))
	folded := d.LocationTable().At(int(d.StackTable().At(int(first.StackIndex())).LocationIndices().At(0)))
	assert.Equal(t, map[string]any{"profile.frame.type": "go", "pprof.location.is_folded": true}, received.Attributes(d, folded))
	assert.EqualValues(t, 2, folded.Lines().At(0).Column())
	function := d.FunctionTable().At(int(folded.Lines().At(0).FunctionIndex()))
	assert.EqualValues(t, 3, function.StartLine())
}

func TestEveryProfileHasAnID(t *testing.T) {
	original := written(t, made())
	a, b := only(t, receive(t, original, Options{})).ProfileID(), only(t, receive(t, original, Options{})).ProfileID()
	assert.False(t, a.IsEmpty())
	assert.NotEqual(t, a, b)
}

// Labels may be personal data: only those that are allowed are sent.
func TestLabelsAreSentIfTheyAreAllowed(t *testing.T) {
	got := receive(t, written(t, made()), Options{Labels: func(key string) bool { return key == "tenant" }})
	d, tenants := got.Dictionary(), make(map[any]int64)
	for _, s := range only(t, got).Samples().All() {
		attributes := received.Attributes(d, s)
		tenants[attributes["goroutine.label.tenant"]] += s.Values().At(0)
		assert.NotContains(t, attributes, "goroutine.label.trace_id")
	}
	assert.Equal(t, map[any]int64{"a": 7, "b": 4, nil: 3}, tenants)
	assert.NotContains(t, fmt.Sprint(receive(t, written(t, made()), Options{}).Dictionary().StringTable().AsRaw()), "tenant")
}

func TestLabelsAreBounded(t *testing.T) {
	p := made()
	p.Sample = p.Sample[:1]
	p.Sample[0].Label = map[string][]string{strings.Repeat("k", 500) + "1": {"x"}, strings.Repeat("k", 500) + "2": {"y"}, "none": nil}
	for i := range 50 {
		p.Sample[0].Label[fmt.Sprintf("a%02d", i)] = []string{strings.Repeat("\xff", 500)}
	}
	got := receive(t, written(t, p), Options{Labels: func(string) bool { return true }})
	attributes := received.Attributes(got.Dictionary(), only(t, got).Samples().At(0))
	assert.Len(t, attributes, maxLabels)
	assert.Equal(t, "\uFFFD", attributes["goroutine.label.a00"])
}

// The goroutines of a finding are linked to the span of its event, by their stack.
func TestStacksAreLinked(t *testing.T) {
	stack := goroutine.NewStack([]goroutine.Frame{{Function: "main.serve"}})
	got := receive(t, written(t, made()), Options{Links: map[goroutine.StackID]Link{
		stack.ID: {TraceID: [16]byte{0xaa}, SpanID: [8]byte{0xbb}},
	}})
	d, links := got.Dictionary(), make(map[byte]int)
	for _, s := range only(t, got).Samples().All() {
		links[d.LinkTable().At(int(s.LinkIndex())).TraceID()[0]] = len(received.Frames(d, s))
	}
	assert.Equal(t, map[byte]int{0xaa: 2, 0x01: 3}, links, "the link of labels goes first")
}

func TestLinksNeedBothIDs(t *testing.T) {
	trace, span := "0102030405060708090a0b0c0d0e0f10", "1112131415161718"
	assert.Equal(t, Link{traceID, spanID}, LinkOf(trace, span))
	for _, ids := range [][2]string{{"", span}, {trace, ""}, {trace[2:], span}, {trace, span + "00"}, {"z" + trace[1:], span}, {trace, "z" + span[1:]}} {
		assert.Zero(t, LinkOf(ids[0], ids[1]))
	}
}

// many has n stacks: one goroutine at the first, two at the second, and so on.
func many(n int) *profile.Profile {
	p := made()
	p.Sample, p.Function, p.Location = nil, nil, nil
	for i := range n {
		f := &profile.Function{ID: uint64(i + 1), Name: fmt.Sprintf("main.worker%06d", i), Filename: "/src/main.go"}
		l := &profile.Location{ID: uint64(i + 1), Mapping: p.Mapping[0], Line: []profile.Line{{Function: f, Line: int64(i)}}}
		p.Function, p.Location = append(p.Function, f), append(p.Location, l)
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{l}, Value: []int64{int64(i + 1)}})
	}
	return p
}

func TestTheMostGoroutinesAreKeptAndTheRestIsCounted(t *testing.T) {
	got := receive(t, written(t, many(100)), Options{MaxSamples: 10})
	stacks, err := received.Stacks(got)
	require.NoError(t, err)
	assert.Len(t, stacks, 11)
	assert.EqualValues(t, 90*91/2, stacks[received.Frame("[_OTHER]", "", 0, 0)])
	assert.EqualValues(t, 91, stacks[received.Frame("main.worker000090", "/src/main.go", 90, 0)])
	assert.NotContains(t, fmt.Sprint(got.Dictionary().StringTable().AsRaw()), "main.worker000089")
}

func TestTheMessageIsBounded(t *testing.T) {
	original := written(t, many(20_000))
	for _, most := range []int{100, 10_000, 300_000} {
		encoded, err := Marshal(original, Options{MaxBytes: most})
		require.NoError(t, err)
		got, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encoded)
		require.NoError(t, err)
		require.Empty(t, received.Check(got))
		if samples := only(t, got).Samples(); samples.Len() > 1 {
			assert.LessOrEqual(t, len(encoded), most)
			assert.Greater(t, len(encoded), most/2, "no more is left out than has to be")
		}
		stacks, err := received.Stacks(got)
		require.NoError(t, err)
		total := int64(0)
		for _, n := range stacks {
			total += n
		}
		assert.EqualValues(t, 20_000*20_001/2, total)
	}
}

// Numbers, names and depths that no process has.
func TestWhatIsNotValidDoesNoHarm(t *testing.T) {
	p := made()
	p.TimeNanos, p.DurationNanos = -1, -1
	p.Comments = make([]string, 100)
	name := strings.Repeat("x", 5000) + "\xff"
	p.Function[0].Name, p.Function[0].StartLine = name, -5
	p.Sample[0].Value[0], p.Sample[2].Value[0] = math.MaxInt64, math.MaxInt64
	p.Sample[3].Value[0] = -1
	deep := make([]*profile.Location, 3*maxFrames)
	for i := range deep {
		deep[i] = p.Location[1]
	}
	p.Sample[1].Location = deep
	at := time.Unix(1_800_000_000, 0)
	got := receive(t, written(t, p), Options{Time: at})
	samples := only(t, got).Samples()
	require.Equal(t, 2, samples.Len())
	assert.EqualValues(t, math.MaxInt64, samples.At(0).Values().At(0))
	assert.Len(t, received.Frames(got.Dictionary(), samples.At(1)), maxFrames)
	assert.EqualValues(t, at.UnixNano(), only(t, got).Time())
	assert.Zero(t, only(t, got).DurationNano())
	for _, s := range got.Dictionary().StringTable().All() {
		assert.LessOrEqual(t, len(s), maxString+2)
	}
}

func TestWhatIsNoGoroutineProfileIsRefused(t *testing.T) {
	cpu := made()
	cpu.SampleType = []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}
	for _, s := range cpu.Sample {
		s.Value = append(s.Value, 1)
	}
	for says, data := range map[string][]byte{
		"empty": nil, "this is HTML": []byte("<html>"), "not a profile": []byte("\x01\x02\x03"),
		"the samples must be goroutines": written(t, cpu),
	} {
		_, err := Translate(data, Options{})
		assert.ErrorContains(t, err, says)
	}
}

// FuzzTranslate holds every translation against the rules of the specification, and
// counts the goroutines of each stack again.
func FuzzTranslate(f *testing.F) {
	for _, p := range []*profile.Profile{made(), many(30)} {
		var b bytes.Buffer
		require.NoError(f, p.WriteUncompressed(&b))
		f.Add(b.Bytes(), 0)
		f.Add(b.Bytes(), 5)
	}
	f.Fuzz(func(t *testing.T, data []byte, most int) {
		p, value, err := parse.Pprof(data)
		if err != nil {
			_, refused := Translate(data, Options{})
			require.Error(t, refused)
			return
		}
		got := receive(t, data, Options{MaxSamples: most, MaxBytes: math.MaxInt32, Labels: func(string) bool { return true }})
		if len(p.Sample) <= max(most, 0) || most <= 0 {
			requireSame(t, data, got)
		}
		total, left := int64(0), int64(0)
		for _, n := range stacksOf(p, value) {
			total = add(total, n)
		}
		for _, s := range only(t, got).Samples().All() {
			left = add(left, s.Values().At(0))
		}
		require.Equal(t, total, left)
	})
}
