// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

var profileTime = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// A sampleOf is one sample of a profile under test.
type sampleOf struct {
	frames []goroutine.Frame
	values []int64
	labels map[string][]string
}

// profileOf encodes samples with value types such as "goroutine/count".
func profileOf(t testing.TB, types []string, samples ...sampleOf) []byte {
	t.Helper()
	p := &profile.Profile{TimeNanos: 7e9}
	for _, vt := range types {
		name, unit, _ := strings.Cut(vt, "/")
		p.SampleType = append(p.SampleType, &profile.ValueType{Type: name, Unit: unit})
	}
	for _, s := range samples {
		sample := &profile.Sample{Value: s.values, Label: s.labels}
		for _, f := range s.frames {
			fn := &profile.Function{ID: uint64(len(p.Function) + 1), Name: f.Function, Filename: f.File}
			loc := &profile.Location{ID: fn.ID, Line: []profile.Line{{Function: fn, Line: int64(f.Line)}}}
			p.Function, p.Location = append(p.Function, fn), append(p.Location, loc)
			sample.Location = append(sample.Location, loc)
		}
		p.Sample = append(p.Sample, sample)
	}
	return encode(t, p)
}

func encode(t testing.TB, p *profile.Profile) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, p.Write(&b))
	return b.Bytes()
}

func framesNamed(functions ...string) []goroutine.Frame {
	var frames []goroutine.Frame
	for i, f := range functions {
		frames = append(frames, goroutine.Frame{Function: f, File: "/" + f + ".go", Line: i + 1})
	}
	return frames
}

var goroutineType = []string{"goroutine/count"}

func TestProfileGroups(t *testing.T) {
	parked := framesNamed("runtime.gopark", "runtime.chanrecv", "runtime.chanrecv1", "main.f")
	data := profileOf(t, goroutineType,
		sampleOf{parked, []int64{3}, map[string][]string{"tenant": {"b"}}},
		sampleOf{parked, []int64{4}, map[string][]string{"tenant": {"a"}, "user": {"secret"}}},
		sampleOf{parked, []int64{5}, nil},
		sampleOf{framesNamed("main.g"), []int64{1}, nil},
		sampleOf{framesNamed("main.h"), []int64{0}, nil},
	)

	s, err := Profile(data, profileTime, NewStacks(), Labels{})
	require.NoError(t, err)
	assert.Equal(t, goroutine.SourceProfile, s.Source)
	assert.Equal(t, profileTime, s.Time)
	assert.Equal(t, int64(len(data)), s.Bytes)
	assert.Equal(t, 13, s.Total)
	assert.False(t, s.HasIDs())
	require.Len(t, s.Groups, 2)
	assert.Equal(t, goroutine.Group{Stack: goroutine.NewStack(parked), State: goroutine.ChanReceive, Count: 12}, s.Groups[0])
	assert.Equal(t, goroutine.Running, s.Groups[1].State)

	s, err = Profile(data, profileTime, NewStacks(), Labels{Keys: []string{"tenant", "absent", "tenant"}})
	require.NoError(t, err)
	assert.Equal(t, goroutine.SourceLabelled, s.Source)
	assert.Equal(t, 13, s.Total)
	byLabel := map[string]int{}
	for _, g := range s.Groups {
		byLabel[fmt.Sprint(g.Labels)] += g.Count
	}
	assert.Equal(t, map[string]int{"[{tenant b}]": 3, "[{tenant a}]": 4, "[]": 6}, byLabel)

	s, err = Profile(data, profileTime, NewStacks(), Labels{Keys: []string{"user", "tenant"}})
	require.NoError(t, err)
	assert.Equal(t, []goroutine.Label{{Key: "tenant", Value: "a"}, {Key: "user", Value: "secret"}}, s.Groups[slices.IndexFunc(s.Groups, func(g goroutine.Group) bool { return len(g.Labels) == 2 })].Labels)
}

func TestProfileTime(t *testing.T) {
	data := profileOf(t, goroutineType, sampleOf{framesNamed("main.f"), []int64{1}, nil})
	s, err := Profile(data, time.Time{}, NewStacks(), Labels{})
	require.NoError(t, err)
	assert.True(t, s.Time.Equal(time.Unix(7, 0)), s.Time)
}

func TestProfileCompressedOrNot(t *testing.T) {
	packed := profileOf(t, goroutineType, sampleOf{framesNamed("main.f"), []int64{2}, nil})
	z, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	var raw bytes.Buffer
	_, err = raw.ReadFrom(z)
	require.NoError(t, err)
	s, err := Profile(raw.Bytes(), profileTime, NewStacks(), Labels{})
	require.NoError(t, err)
	assert.Equal(t, 2, s.Total)
}

// TestProfileInlined has one location with three calls, as the runtime writes
// inlined calls, and one location without any.
func TestProfileInlined(t *testing.T) {
	functions := make([]*profile.Function, 3)
	for i, name := range []string{"main.leaf", "main.Generic[go.shape.map[string]github.com/x/y.T].func1", "main.outer"} {
		functions[i] = &profile.Function{ID: uint64(i + 1), Name: name, Filename: "/f.go"}
	}
	inlined := &profile.Location{ID: 1, Line: []profile.Line{{Function: functions[0], Line: 3}, {Function: functions[1], Line: 2}, {Function: functions[2], Line: 1}}}
	bare := &profile.Location{ID: 2, Address: 0xabc}
	data := encode(t, &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "goroutine", Unit: "count"}},
		Sample:     []*profile.Sample{{Value: []int64{1}, Location: []*profile.Location{inlined, bare}}},
		Location:   []*profile.Location{inlined, bare},
		Function:   functions,
	})
	s, err := Profile(data, profileTime, NewStacks(), Labels{})
	require.NoError(t, err)
	assert.Equal(t, []goroutine.Frame{
		{Function: "main.leaf", File: "/f.go", Line: 3},
		{Function: "main.Generic[...].func1", File: "/f.go", Line: 2},
		{Function: "main.outer", File: "/f.go", Line: 1},
		{Function: "0xabc"},
	}, s.Groups[0].Stack.Frames)
}

func TestHideTypeArguments(t *testing.T) {
	for name, want := range map[string]string{
		"main.f":               "main.f",
		"main.F[go.shape.int]": "main.F[...]",
		"main.F[...]":          "main.F[...]",
		"main.F[go.shape.map[string][]int].func1":    "main.F[...].func1",
		"main.F[int].Bar[[2]string].func1":           "main.F[...].Bar[...].func1",
		"main.(*T[go.shape.struct { a/b.c int }]).m": "main.(*T[...]).m",
		"main.F]x[": "main.F]x[...",
		"[running]": "[running]",
	} {
		assert.Equal(t, want, hideTypeArguments(name))
	}
}

func TestProfileLabelValues(t *testing.T) {
	for value, want := range map[string]string{
		"short":                         "short",
		strings.Repeat("x", 128):        strings.Repeat("x", 128),
		strings.Repeat("x", 129):        strings.Repeat("x", 128),
		strings.Repeat("ü", 1000):       strings.Repeat("ü", 64),
		"x" + strings.Repeat("ü", 1000): "x" + strings.Repeat("ü", 63),
		strings.Repeat("€", 1000):       strings.Repeat("€", 42),
		"a\xff\xfeb":                    "a\uFFFDb",
		strings.Repeat("\xff", 1e3):     "\uFFFD",
	} {
		data := profileOf(t, goroutineType, sampleOf{framesNamed("main.f"), []int64{1}, map[string][]string{"k": {value}}})
		s, err := Profile(data, profileTime, NewStacks(), Labels{Keys: []string{"k"}})
		require.NoError(t, err)
		require.Equal(t, []goroutine.Label{{Key: "k", Value: want}}, s.Groups[0].Labels)
		require.True(t, utf8.ValidString(s.Groups[0].Labels[0].Value))
	}
}

func TestProfileManyLabels(t *testing.T) {
	var samples []sampleOf
	for i := range 3 * MaxGroups {
		samples = append(samples, sampleOf{framesNamed("main.f"), []int64{2}, map[string][]string{"request": {fmt.Sprint(i)}}})
	}
	s, err := Profile(profileOf(t, goroutineType, samples...), profileTime, NewStacks(), Labels{Keys: []string{"request"}})
	require.NoError(t, err)
	assert.Len(t, s.Groups, MaxGroups+1)
	assert.Equal(t, 6*MaxGroups, s.Total)
	assert.Equal(t, goroutine.OtherStacks, s.Groups[0].Stack.ID)
	assert.Empty(t, s.Groups[0].Labels)
}

func TestProfileSampleTypes(t *testing.T) {
	for _, c := range []struct {
		types []string
		value []int64
		want  int
	}{
		{[]string{"goroutine/count"}, []int64{3}, 3},
		{[]string{"goroutines/count"}, []int64{3}, 3},
		{[]string{"goroutineleak/count"}, []int64{3}, 3},
		{[]string{"cpu/nanoseconds", "goroutine/count"}, []int64{100, 3}, 3},
		{[]string{"something/count"}, []int64{3}, 3},
	} {
		s, err := Profile(profileOf(t, c.types, sampleOf{framesNamed("main.f"), c.value, nil}), profileTime, NewStacks(), Labels{})
		require.NoError(t, err, c.types)
		assert.Equal(t, c.want, s.Total, c.types)
	}
}

// TestProfileLeakOfMain has the sample without a stack that Go 1.27 writes when
// main is in a select without cases.
func TestProfileLeakOfMain(t *testing.T) {
	samples := []sampleOf{{nil, []int64{1}, nil}, {framesNamed("main.f"), []int64{2}, nil}}
	s, err := Profile(profileOf(t, []string{"goroutineleak/count"}, samples...), profileTime, NewStacks(), Labels{})
	require.NoError(t, err)
	assert.Equal(t, 2, s.Total)
	s, err = Profile(profileOf(t, goroutineType, samples...), profileTime, NewStacks(), Labels{})
	require.NoError(t, err)
	assert.Equal(t, 3, s.Total, "a sample of another profile counts")
}

func TestProfileAbsurdCounts(t *testing.T) {
	f := framesNamed("main.f")
	data := profileOf(t, goroutineType,
		sampleOf{f, []int64{-1}, nil}, sampleOf{f, []int64{1 << 62}, nil}, sampleOf{f, []int64{maxCount - 5}, nil}, sampleOf{f, []int64{6}, nil}, sampleOf{f, []int64{5}, nil})
	s, err := Profile(data, profileTime, NewStacks(), Labels{})
	assert.EqualError(t, err, strings.Join([]string{
		"goroutine profile: sample 0 has -1 goroutines after 0",
		"goroutine profile: sample 1 has 4611686018427387904 goroutines after 0",
		"goroutine profile: sample 3 has 6 goroutines after 1073741819",
	}, "\n"))
	require.NotNil(t, s)
	assert.Equal(t, maxCount, s.Total)

	var bad []sampleOf
	for range 50 {
		bad = append(bad, sampleOf{f, []int64{-7}, nil})
	}
	_, err = Profile(profileOf(t, goroutineType, bad...), profileTime, NewStacks(), Labels{})
	assert.ErrorContains(t, err, "and 30 more")
}

func TestProfileErrors(t *testing.T) {
	var heap bytes.Buffer
	require.NoError(t, pprof.Lookup("heap").WriteTo(&heap, 0))
	var threads bytes.Buffer
	require.NoError(t, pprof.Lookup("threadcreate").WriteTo(&threads, 0))
	var debug1 bytes.Buffer
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&debug1, 1))
	whole := profileOf(t, goroutineType, sampleOf{framesNamed("main.f"), []int64{1}, nil})
	zipped := func(b []byte) []byte {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err := w.Write(b)
		require.NoError(t, errors.Join(err, w.Close()))
		return z.Bytes()
	}
	for name, c := range map[string]struct {
		data    []byte
		message string
	}{
		"nothing":        {nil, "empty"},
		"zipped nothing": {zipped(nil), "empty"},
		"HTML":           {[]byte("\n<!doctype html><title>502</title>"), "this is HTML"},
		"zipped HTML":    {zipped([]byte("<html>")), "this is HTML"},
		"debug=1":        {debug1.Bytes(), "debug=1"},
		"debug=2":        {[]byte(one), "dump as text"},
		"text":           {[]byte("404 page not found\n"), "not a profile"},
		"cut off":        {whole[:len(whole)/2], "decompressing: unexpected EOF"},
		"bad gzip":       {[]byte{0x1f, 0x8b, 1}, "decompressing"},
		"heap":           {heap.Bytes(), "the samples must be goroutines, and are alloc_objects/count, alloc_space/bytes, inuse_objects/count, inuse_space/bytes"},
		"threads":        {threads.Bytes(), "the samples must be goroutines, and are threadcreate/count"},
		"no types":       {encode(t, &profile.Profile{TimeNanos: 1}), "no sample types"},
	} {
		s, err := Profile(c.data, profileTime, NewStacks(), Labels{})
		assert.ErrorContains(t, err, c.message, name)
		assert.ErrorContains(t, err, "goroutine profile: ", name)
		assert.Nil(t, s, name)
	}
}

func TestDecompressLimit(t *testing.T) {
	zipped := func(n int) []byte {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		_, err := w.Write(make([]byte, n))
		require.NoError(t, errors.Join(err, w.Close()))
		return z.Bytes()
	}
	for _, data := range [][]byte{make([]byte, 1000), zipped(1000), append(zipped(400), zipped(600)...)} {
		raw, err := decompress(data, 1000)
		require.NoError(t, err)
		assert.Len(t, raw, 1000)
		_, err = decompress(data, 999)
		assert.ErrorContains(t, err, "decompressed")
	}
}

// TestProfileBomb has a profile of 257 MiB, compressed to 256 KiB.
func TestProfileBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 256 MiB")
	}
	var member bytes.Buffer
	z := gzip.NewWriter(&member)
	_, err := z.Write(make([]byte, 1<<20))
	require.NoError(t, errors.Join(err, z.Close()))
	_, err = Profile(bytes.Repeat(member.Bytes(), 257), profileTime, NewStacks(), Labels{})
	assert.ErrorContains(t, err, "must be at most 256 MiB decompressed")
}

// TestProfileOfThisProcess reads what the runtime writes, with labels.
func TestProfileOfThisProcess(t *testing.T) {
	const n = 7
	release, parked := make(chan bool), make(chan bool)
	for i := range n {
		go pprof.Do(context.Background(), pprof.Labels("shard", fmt.Sprint(i%2), "other", "x"), func(context.Context) {
			parked <- true
			<-release
		})
		<-parked
	}
	defer func() {
		for range n {
			release <- true
		}
	}()
	shards := map[string]int{}
	require.Eventually(t, func() bool {
		var b bytes.Buffer
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&b, 0))
		s, err := Profile(b.Bytes(), profileTime, NewStacks(), Labels{Keys: []string{"shard"}})
		require.NoError(t, err)
		clear(shards)
		for _, g := range s.Groups {
			if len(g.Labels) > 0 && g.State == goroutine.ChanReceive {
				assert.Equal(t, "shard", g.Labels[0].Key)
				assert.Equal(t, "github.com/otelgoroutine/go/internal/parse.TestProfileOfThisProcess.func1", g.Stack.User().Function)
				shards[g.Labels[0].Value] += g.Count
			}
		}
		return shards["0"]+shards["1"] == n
	}, 10*time.Second, time.Millisecond)
	assert.Equal(t, map[string]int{"0": 4, "1": 3}, shards)
}

// everySnapshot returns snapshots of every kind that WriteProfile may get.
func everySnapshot(t testing.TB) map[string]*goroutine.Snapshot {
	t.Helper()
	all := map[string]*goroutine.Snapshot{
		"empty": {},
		"made": {
			Time: profileTime, Duration: 3 * time.Second, Total: 16,
			Groups: []goroutine.Group{
				{Stack: other, State: goroutine.Select, Count: 6},
				{Stack: goroutine.NewStack(framesNamed("main.f")), State: goroutine.Runnable, Count: 5, Labels: []goroutine.Label{{Key: "k", Value: "v"}}},
				{Stack: goroutine.NewStack(nil), State: goroutine.Syscall, Count: 3},
				{Stack: goroutine.NewStack(nil), State: goroutine.Running, Count: 2},
			},
		},
	}
	files, err := filepath.Glob(filepath.Join("testdata", "text", "go1.*", "*.txt"))
	require.NoError(t, err)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(t, err)
		s, err := Text(f, profileTime, NewStacks(), nil)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		all[name] = s
	}
	return all
}

type stackStateLabels struct{ id, frames, state, labels string }

func countGroups(s *goroutine.Snapshot) map[stackStateLabels]int {
	m := make(map[stackStateLabels]int)
	for _, g := range s.Groups {
		m[stackStateLabels{string(g.Stack.ID), fmt.Sprint(g.Stack.Frames), string(g.State), labelKey(g.Labels)}] += g.Count
	}
	return m
}

func TestWriteProfileRoundTrip(t *testing.T) {
	for name, s := range everySnapshot(t) {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, WriteProfile(&b, s))
			back, err := Profile(b.Bytes(), time.Time{}, NewStacks(), Labels{Keys: []string{"k"}})
			require.NoError(t, err)
			assert.Equal(t, countGroups(s), countGroups(back))
			assert.Equal(t, s.Total, back.Total)
			assert.Equal(t, s.Duration, back.Duration)
			assert.True(t, s.Time.Equal(back.Time))
		})
	}
}

func TestWriteProfileForm(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteProfile(&b, everySnapshot(t)["made"]))
	p, err := profile.ParseData(b.Bytes())
	require.NoError(t, err)
	require.Len(t, p.SampleType, 1)
	assert.Equal(t, "goroutine", p.SampleType[0].Type)
	assert.Equal(t, "count", p.SampleType[0].Unit)
	assert.Equal(t, "goroutine", p.PeriodType.Type)
	assert.Equal(t, profileTime.UnixNano(), p.TimeNanos)
	assert.Equal(t, int64(3*time.Second), p.DurationNanos)
	require.Len(t, p.Sample, 4)
	assert.Equal(t, map[string][]string{"k": {"v"}, StateLabel: {"runnable"}}, p.Sample[1].Label)
	assert.Equal(t, "[_OTHER]", p.Sample[0].Location[0].Line[0].Function.Name)
	assert.Equal(t, "[syscall]", p.Sample[2].Location[0].Line[0].Function.Name)
}

func TestWriteProfileSharesFunctions(t *testing.T) {
	f := goroutine.Frame{Function: "main.f", File: "/f.go", Line: 1}
	g := f
	g.Line = 2
	var b bytes.Buffer
	require.NoError(t, WriteProfile(&b, &goroutine.Snapshot{Groups: []goroutine.Group{
		{Stack: goroutine.NewStack([]goroutine.Frame{f, g, f}), Count: 1},
		{Stack: goroutine.NewStack([]goroutine.Frame{g}), Count: 1},
	}}))
	p, err := profile.ParseData(b.Bytes())
	require.NoError(t, err)
	assert.Len(t, p.Location, 2)
	assert.Len(t, p.Function, 1)
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWriteProfileFails(t *testing.T) {
	full := errors.New("disk full")
	assert.ErrorIs(t, WriteProfile(failingWriter{full}, everySnapshot(t)["made"]), full)
}

// TestWriteProfileOpensInPprof runs the real tool on a written profile.
func TestWriteProfileOpensInPprof(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go tool")
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(source, []byte("package main\n\nfunc work() {\n\twait()\n}\n"), 0o644))
	s := &goroutine.Snapshot{
		Time: profileTime, Duration: time.Second, Total: 2111,
		Groups: []goroutine.Group{
			{Stack: goroutine.NewStack([]goroutine.Frame{
				{Function: "runtime.gopark", File: "/go/src/runtime/proc.go", Line: 1}, {Function: "main.work", File: source, Line: 4},
			}), State: goroutine.Select, Count: 2000, Labels: []goroutine.Label{{Key: "tenant", Value: "a"}}},
			{Stack: goroutine.NewStack(nil), State: goroutine.Running, Count: 111},
		},
	}
	file := filepath.Join(dir, "goroutines.pb.gz")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, errors.Join(WriteProfile(f, s), f.Close()))
	for _, c := range []struct {
		flags []string
		want  []string
	}{
		{[]string{"-top"}, []string{"Type: goroutine", "2111 total", "2000 94.74%", "runtime.gopark", "main.work", "[running]"}},
		{[]string{"-traces"}, []string{"tenant: a", "goroutine_state: select", "goroutine_state: running", "2000   runtime.gopark", "111   [running]"}},
		{[]string{"-peek=main.work"}, []string{"main.work", "runtime.gopark"}},
		{[]string{"-list=main.work"}, []string{"wait()", "2000"}},
		{[]string{"-tags"}, []string{"goroutine_state: Total 2111", "tenant: Total 2000"}},
		{[]string{"-top", "-tagfocus=goroutine_state=select"}, []string{"2000 94.74%"}},
	} {
		out, err := exec.Command("go", append(append([]string{"tool", "pprof"}, c.flags...), file)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		text := strings.Join(strings.Fields(string(out)), " ")
		for _, want := range c.want {
			assert.Contains(t, text, strings.Join(strings.Fields(want), " "), "%v", c.flags)
		}
	}
}

func BenchmarkProfile(b *testing.B) {
	data, err := os.ReadFile(filepath.Join("testdata", "profile", "go1.27", "states.pb.gz"))
	require.NoError(b, err)
	stacks := NewStacks()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Profile(data, profileTime, stacks, Labels{}); err != nil {
			b.Fatal(err)
		}
	}
}
