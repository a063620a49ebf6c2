// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/pprof/profile"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// MaxProfileBytes is the size of the largest profile that is read, after
	// decompression. A compressed profile can expand to a thousand times its size.
	MaxProfileBytes = 256 << 20
	// MaxLabelBytes is how many bytes of a label's value are kept.
	MaxLabelBytes = 128
	// maxCount is the largest number of goroutines accepted as real. Their stacks
	// alone would take 2 TiB.
	maxCount = 1 << 30
)

// StateLabel is the label in which [WriteProfile] writes the state of a goroutine
// and from which [Profile] reads it.
const StateLabel = "goroutine_state"

const (
	// otherFunction is the only function on the stack of a group that sums up
	// others, because a sample must have a location.
	otherFunction = "[" + string(goroutine.OtherStacks) + "]"
	leakType      = "goroutineleak"
)

// Profile reads a goroutine profile in pprof's format, compressed or not, as
// written by the runtime with debug=0 or by [WriteProfile]. at is when the profile
// was taken; if it is zero, the profile's own time is used.
//
// labels selects the pprof labels that distinguish groups. The state comes from
// [StateLabel]; without that label, it follows from the frames. The snapshot has
// no IDs.
//
// Invalid samples are left out, and the error names them; the others are in the
// snapshot. The snapshot is nil when nothing could be read.
func Profile(data []byte, at time.Time, stacks *Stacks, labels Labels) (*goroutine.Snapshot, error) {
	p, value, err := Pprof(data)
	if err != nil {
		return nil, err
	}
	r := newProfileReader(p, value, stacks, labels)
	s := r.read(p)
	s.Time, s.Bytes = at, int64(len(data))
	if at.IsZero() && p.TimeNanos != 0 {
		s.Time = time.Unix(0, p.TimeNanos)
	}
	s.Duration = time.Duration(max(p.DurationNanos, 0))
	return s, r.problems.err()
}

// Pprof decodes a goroutine profile, compressed or not, as [Profile] does, and returns
// which of the values of its samples counts goroutines.
func Pprof(data []byte) (p *profile.Profile, value int, err error) {
	raw, err := decompress(data, MaxProfileBytes)
	if err != nil {
		return nil, 0, err
	}
	if p, err = parseProfile(raw); err != nil {
		return nil, 0, err
	}
	if value, err = goroutineValue(p); err != nil {
		return nil, 0, err
	}
	return p, value, nil
}

// decompress returns the bytes of a profile, or an error if there are more than
// limit.
func decompress(data []byte, limit int) ([]byte, error) {
	raw := data
	if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(data))
		if err == nil {
			raw, err = io.ReadAll(io.LimitReader(z, int64(limit)+1))
		}
		if err != nil {
			return nil, fmt.Errorf("goroutine profile: decompressing: %w", err)
		}
	}
	if len(raw) > limit {
		return nil, fmt.Errorf("goroutine profile: too large: it must be at most %d MiB decompressed", limit>>20)
	}
	return raw, nil
}

func parseProfile(raw []byte) (*profile.Profile, error) {
	if err := notProfile(raw); err != nil {
		return nil, err
	}
	p, err := profile.ParseUncompressed(raw)
	if err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		return nil, fmt.Errorf("goroutine profile: not a profile in the format of pprof: %w", err)
	}
	return p, nil
}

// notProfile recognizes input that is often mistaken for a profile.
func notProfile(raw []byte) error {
	text := bytes.TrimSpace(raw)
	switch {
	case len(text) == 0:
		return errors.New("goroutine profile: empty")
	case text[0] == '<':
		return errors.New("goroutine profile: this is HTML: most likely an error page, or the index page of /debug/pprof/")
	case bytes.HasPrefix(text, []byte("goroutine profile: total ")):
		return errors.New("goroutine profile: this is the text of debug=1, which is another format")
	case bytes.HasPrefix(text, headerStart):
		return errors.New("goroutine profile: this is a goroutine dump as text")
	}
	return nil
}

// goroutineValue returns the index of the value that counts goroutines.
func goroutineValue(p *profile.Profile) (int, error) {
	types := make([]string, len(p.SampleType))
	for i, t := range p.SampleType {
		if strings.HasPrefix(t.Type, "goroutine") {
			return i, nil
		}
		types[i] = t.Type + "/" + t.Unit
	}
	if len(types) == 1 && p.SampleType[0].Type != "threadcreate" {
		return 0, nil
	}
	if len(types) == 0 {
		return 0, errors.New("goroutine profile: no sample types")
	}
	return 0, fmt.Errorf("goroutine profile: the samples must be goroutines, and are %s", strings.Join(types, ", "))
}

// A profileReader groups the samples of a profile.
type profileReader struct {
	stacks *Stacks
	labels Labels
	value  int  // index of the value that counts goroutines
	leaks  bool // the profile holds leaked goroutines

	names    map[*profile.Function]functionNames
	sets     map[goroutine.StackID]map[string]bool // of labels, while labels.At is set
	states   states
	groups   groups
	total    int
	problems problems
}

type functionNames struct{ function, file string }

func newProfileReader(p *profile.Profile, value int, stacks *Stacks, labels Labels) *profileReader {
	return &profileReader{
		stacks: stacks,
		labels: labels,
		value:  value,
		leaks:  p.SampleType[value].Type == leakType,
		names:  make(map[*profile.Function]functionNames, len(p.Function)),
		sets:   make(map[goroutine.StackID]map[string]bool),
	}
}

func (r *profileReader) read(p *profile.Profile) *goroutine.Snapshot {
	r.stacks.next()
	for i, sample := range p.Sample {
		r.sample(i, sample)
	}
	s := &goroutine.Snapshot{Source: goroutine.SourceProfile, Groups: r.groups.list}
	switch {
	case r.leaks:
		s.Source = goroutine.SourceProof
	case r.labels.shownIn(s.Groups):
		s.Source = goroutine.SourceLabelled
	}
	finish(s)
	return s
}

// sample counts the goroutines of one sample. In Go 1.27, the runtime's profile of
// leaked goroutines has a sample without a stack when main is in a select without
// cases.
func (r *profileReader) sample(i int, sample *profile.Sample) {
	count := sample.Value[r.value]
	switch {
	case count == 0, r.leaks && len(sample.Location) == 0:
		return
	case count < 0 || count > int64(maxCount-r.total):
		r.problems.add("goroutine profile: sample %d has %d goroutines after %d", i, count, r.total)
		return
	}
	r.total += int(count)
	frames := r.frames(sample.Location)
	state := r.state(sample, frames)
	stack := r.stack(frames, state)
	r.groups.of(stack, state, r.labelsAt(stack, sample)).Count += int(count)
}

// labelsAt returns the selected labels of a sample whose stack is known.
func (r *profileReader) labelsAt(stack *goroutine.Stack, sample *profile.Sample) []goroutine.Label {
	if r.labels.At == nil {
		return r.labelsOf(sample)
	}
	if !r.labels.At(stack.ID) {
		return nil
	}
	labels := r.labelsOf(sample)
	sets := r.sets[stack.ID]
	if key := labelKey(labels); len(labels) > 0 && !sets[key] {
		if len(sets) >= MaxLabelSets {
			return nil
		}
		if sets == nil {
			sets = make(map[string]bool)
			r.sets[stack.ID] = sets
		}
		sets[key] = true
	}
	return labels
}

// stack returns the stack of these frames. If the frames come from framesOf, it
// returns the stack that they stand for.
func (r *profileReader) stack(frames []goroutine.Frame, state goroutine.State) *goroutine.Stack {
	switch pseudo(frames) {
	case otherFunction:
		return other
	case stateFunction(state):
		frames = nil
	}
	return r.stacks.Intern(frames)
}

// state returns the state in [StateLabel]. Without that label, it returns the
// state that follows from the frames.
func (r *profileReader) state(sample *profile.Sample, frames []goroutine.Frame) goroutine.State {
	if told := sample.Label[StateLabel]; len(told) > 0 {
		return r.states.of(told[0])
	}
	return stateOf(frames)
}

// frames returns the frames at these locations, leaf first. A location holds all
// calls that were inlined there, innermost first.
func (r *profileReader) frames(locations []*profile.Location) []goroutine.Frame {
	frames := make([]goroutine.Frame, 0, min(len(locations), maxFrames))
	for _, l := range locations {
		if len(l.Line) == 0 {
			frames = append(frames, goroutine.Frame{Function: fmt.Sprintf("0x%x", l.Address)})
		}
		for _, line := range l.Line[:min(len(l.Line), maxFrames)] {
			names := r.namesOf(line.Function)
			frames = append(frames, goroutine.Frame{Function: names.function, File: names.file, Line: int(clamp32(line.Line))})
		}
		if len(frames) >= maxFrames {
			return frames[:maxFrames]
		}
	}
	return frames
}

// clamp32 limits a line number to the range of int on every platform.
func clamp32(line int64) int64 { return min(max(line, 0), 1<<31-1) }

// namesOf returns the names of a function as a dump shows them. The runtime writes
// type arguments in full only in profiles.
func (r *profileReader) namesOf(f *profile.Function) functionNames {
	names, ok := r.names[f]
	if !ok {
		names = functionNames{valid(tail(hideTypeArguments(f.Name))), valid(tail(f.Filename))}
		r.names[f] = names
	}
	return names
}

// hideTypeArguments replaces each list of type arguments in a function name with
// three dots.
func hideTypeArguments(name string) string {
	if !strings.Contains(name, "[") || pseudoName(name) {
		return name
	}
	var b strings.Builder
	depth := 0
	for _, c := range []byte(name) {
		if c == ']' && depth > 0 {
			depth--
		}
		if depth == 0 {
			b.WriteByte(c)
		}
		if c == '[' {
			if depth++; depth == 1 {
				b.WriteString("...")
			}
		}
	}
	return b.String()
}

// labelsOf returns the selected labels of a sample, sorted by key.
func (r *profileReader) labelsOf(sample *profile.Sample) []goroutine.Label {
	if r.labels.none() {
		return nil
	}
	var labels []goroutine.Label
	for key, values := range sample.Label {
		if len(values) > 0 {
			labels = append(labels, goroutine.Label{Key: key, Value: values[0]})
		}
	}
	return r.labels.choose(labels)
}

// boundLabel returns the beginning of a label's value, cut between characters.
func boundLabel(value string) string {
	value = valid(value[:min(len(value), 2*MaxLabelBytes)])
	if len(value) <= MaxLabelBytes {
		return value
	}
	end := MaxLabelBytes
	for !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end]
}

// pseudo returns the function of a frame made by framesOf, or "".
func pseudo(frames []goroutine.Frame) string {
	if len(frames) == 1 && frames[0].File == "" && pseudoName(frames[0].Function) {
		return frames[0].Function
	}
	return ""
}

func pseudoName(function string) bool { return strings.HasPrefix(function, "[") }

// stateFunction is the function that stands for an unknown stack.
func stateFunction(state goroutine.State) string { return "[" + string(state) + "]" }
