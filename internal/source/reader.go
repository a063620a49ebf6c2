// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A Reader reads snapshots. Its fields must not change while it is in use.
type Reader struct {
	HTTP       HTTP
	Kubernetes Kubernetes
	Settings   *Settings // names of the settings, for errors; nil: the flags of the command
	Endpoint   Endpoint  // page to request from processes
	Labels     parse.Labels
	Max        int64         // maximum size of one input in bytes, before and after decompression
	Every      time.Duration // interval at which the files were taken, in the order given; 0: use their own times
	Samples    int           // snapshots to take of a process, Every apart; below 1: one
	Ordered    bool          // keep the order of the arguments, regardless of their times
	Last       bool          // of several dumps in an input, read only the last one
	Stdin      io.Reader

	// Progress is called with the number of bytes read from an input so far. It
	// may be nil.
	Progress func(name string, bytes int64, done bool)
	// Note is called with sentences that describe what is missing. It may be
	// nil.
	Note func(string)
}

func (r *Reader) note(sentence string) {
	if r.Note != nil {
		r.Note(sentence)
	}
}

func (r *Reader) wantsLabels() bool { return r.Labels.All && !r.Labels.Hide || len(r.Labels.Keys) > 0 }

// A Series holds the snapshots of one process, oldest first.
type Series struct {
	Names     []string
	Snapshots []*goroutine.Snapshot
	// Details has what the goroutine dumps among the snapshots say beyond these.
	Details map[*goroutine.Snapshot]*parse.Details
	// Same reports whether goroutine IDs can be compared: nothing contradicts
	// that all snapshots are of one process.
	Same bool
	// Partial describes what was wrong with inputs that could be read only in
	// part.
	Partial error

	inputs  []string // that the snapshots are of
	untimed []bool   // nothing tells when they were taken
}

// Read reads a series from files, standard input ("-") or one process. The
// error names the input that could not be read.
func (r *Reader) Read(ctx context.Context, names []string) (*Series, error) {
	var partial []error
	series := &Series{}
	p := newParsers()
	for _, in := range r.order(names) {
		all, err := r.input(ctx, p, in)
		if len(all) == 0 {
			return nil, err
		}
		partial = append(partial, err)
		for _, s := range all {
			name := withoutSecrets(in.name)
			if s.line > 0 {
				name = fmt.Sprintf("%s:%d", in.name, s.line)
			}
			series.Names = append(series.Names, name)
			series.inputs = append(series.inputs, in.name)
			series.untimed = append(series.untimed, s.untimed)
			series.Snapshots = append(series.Snapshots, s.Snapshot)
		}
	}
	series.Details = p.details
	r.arrange(series)
	series.Same = sameProcess(series.Snapshots)
	series.Partial = oneLine(errors.Join(partial...))
	return series, nil
}

// An input is one argument and the time at which it was taken.
type input struct {
	name string
	at   time.Time
}

// order sorts files by time, so that births are counted in the order in which
// they happened. Files with the same time stay in the order given.
func (r *Reader) order(names []string) []input {
	list := make([]input, len(names))
	for i, name := range names {
		list[i] = input{name, time.Now()}
		if info, err := os.Stat(name); err == nil && !IsURL(name) && name != "-" {
			list[i].at = info.ModTime()
		}
	}
	if !r.Ordered && (r.Every == 0 || r.Samples > 1) {
		slices.SortStableFunc(list, func(a, b input) int { return a.at.Compare(b.at) })
	}
	return list
}

func (r *Reader) input(ctx context.Context, p *parsers, in input) ([]located, error) {
	if IsURL(in.name) {
		return r.process(ctx, p, in.name)
	}
	file, err := r.open(ctx, in.name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	body := r.watched(in.name, file)
	defer body.done()
	p.ctx = ctx
	all, err := p.readAll(body, in.at, r.Labels, r.Max)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", in.name, err)
	}
	if total(all) == 0 && err != nil {
		return nil, err
	}
	all = r.oneProcess(in.name, all)
	if r.Last && len(all) > 1 {
		r.note(fmt.Sprintf("%s: has %d goroutine dumps; the last one, at line %d, is taken", in.name, len(all), all[len(all)-1].line))
		return all[len(all)-1:], err
	}
	if len(all) > 1 {
		r.note(fmt.Sprintf("%s: has %d goroutine dumps, which are read as a series, not as a sum; the last one is at line %d", in.name, len(all), all[len(all)-1].line))
	}
	return all, err
}

// oneProcess returns the dumps of the process that the last dump is of.
func (r *Reader) oneProcess(name string, all []located) []located {
	if len(all) == 0 {
		return all
	}
	last := all[len(all)-1].process
	counts := make(map[string]int)
	var kept []located
	for _, s := range all {
		counts[s.process]++
		if s.process == last {
			kept = append(kept, s)
		}
	}
	if len(counts) > 1 {
		r.note(fmt.Sprintf("%s: has goroutine dumps of %d processes, by the first word of their lines: %s; only that of the last dump is reported, %s; for another one, give only its lines",
			name, len(counts), strings.Join(slices.Sorted(maps.Keys(counts)), ", "), last))
	}
	return kept
}

// open opens a file, or standard input.
func (r *Reader) open(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(&interruptible{ctx: ctx, r: r.Stdin}), nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory", name)
	}
	file, err := Open(ctx, name)
	if err != nil {
		return nil, noSuchFile(name, plain(err))
	}
	return file, nil
}

// total returns how many goroutines snapshots have together.
func total(all []located) (n int) {
	for _, s := range all {
		n += s.Total
	}
	return n
}

// plain shortens errors such as "open x: no such file or directory" by removing
// the operation.
func plain(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

// process takes the snapshots of a process.
func (r *Reader) process(ctx context.Context, p *parsers, name string) ([]located, error) {
	remote, err := await(ctx, func() (*Remote, error) { return r.Remote(name) }) // reads the files of certificates
	if err != nil {
		return nil, err
	}
	defer remote.Close()
	remote.parsers = p
	var all []located
	for i := range max(1, r.Samples) {
		if i > 0 {
			if err := r.wait(ctx, name); err != nil {
				return all, err
			}
		}
		s, err := remote.Take(ctx)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if s == nil || s.Total == 0 && err != nil {
			return all, err
		}
		all = append(all, located{Snapshot: s})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// wait waits until the next snapshot is due.
func (r *Reader) wait(ctx context.Context, name string) error {
	if r.Progress != nil {
		name = withoutSecrets(name)
		defer r.Progress(name, 0, true)
		r.Progress(name, 0, false)
	}
	select {
	case <-time.After(r.Every):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// arrange makes the times of a series strictly increasing, as detectors
// require.
func (r *Reader) arrange(series *Series) {
	if r.Every > 0 && r.Samples <= 1 {
		r.spread(series.Snapshots)
		return
	}
	if !r.Ordered {
		series.sort()
	}
	s := series.Snapshots
	dumps := false // of one file, which have no times
	for i := 1; i < len(s); i++ {
		if series.untimed[i] && series.inputs[i] == series.inputs[i-1] {
			dumps = true
		}
		if last := s[i-1].Time; !s[i].Time.After(last) {
			s[i].Time = last.Add(time.Millisecond)
			if series.inputs[i] != series.inputs[i-1] {
				r.note(fmt.Sprintf("%s: has the same time as the snapshot before, so rates mean nothing; give the time between them with --every", series.Names[i]))
			}
		}
	}
	if dumps {
		r.note("the dumps in one input have no times of their own, so rates mean nothing; give the time between them with --every")
	}
}

// spread gives snapshots times that are Every apart.
func (r *Reader) spread(s []*goroutine.Snapshot) {
	times := make([]time.Time, len(s))
	for i := range s {
		times[i] = s[0].Time.Add(time.Duration(i) * r.Every)
	}
	parse.Redate(s, times)
}

// sort sorts a series by time.
func (s *Series) sort() {
	order := make([]int, len(s.Snapshots))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return s.Snapshots[a].Time.Compare(s.Snapshots[b].Time) })
	s.Snapshots, s.Names = ordered(s.Snapshots, order), ordered(s.Names, order)
	s.inputs, s.untimed = ordered(s.inputs, order), ordered(s.untimed, order)
}

func ordered[T any](list []T, order []int) []T {
	sorted := make([]T, len(list))
	for i, from := range order {
		sorted[i] = list[from]
	}
	return sorted
}

// slack is how many goroutines may have a lower ID than their time of birth
// allows: 16 for each P, since every P allocates IDs in batches of 16.
const slack = 1024

// sameProcess reports whether the snapshots can all be of one process: nothing
// contradicts it.
func sameProcess(series []*goroutine.Snapshot) bool {
	for i, s := range series {
		if !s.HasIDs() {
			return false
		}
		if i > 0 && !Continues(series[i-1], s) {
			return false
		}
	}
	return len(series) > 1
}

// Continues reports whether two snapshots with IDs can be of one process. IDs
// must not decrease, no goroutine may have changed its entry function, and
// apart from some slack the second snapshot must not have more goroutines from
// the time of the first than the first one had.
func Continues(before, after *goroutine.Snapshot) bool {
	last := before.Epochs[len(before.Epochs)-1].LastID
	if after.Epochs[len(after.Epochs)-1].LastID < last {
		return false
	}
	old := 0
	for i := range after.Groups {
		n, _ := after.BornBy(&after.Groups[i], last)
		old += n
	}
	return old <= before.Total+before.Missing+slack && sameEntries(before, after)
}

// sameEntries reports whether goroutines listed in both snapshots have the same
// entry function in both. The entry function of a goroutine never changes, but a
// stack does not always show it; see entryOf.
func sameEntries(before, after *goroutine.Snapshot) bool {
	entries := make(map[uint64]string)
	for i := range before.Groups {
		g := &before.Groups[i]
		for _, id := range g.IDs {
			entries[id] = entryOf(g)
		}
	}
	for i := range after.Groups {
		g := &after.Groups[i]
		entry := entryOf(g)
		for _, id := range g.IDs {
			if was := entries[id]; id != mainID && was != "" && entry != "" && was != entry {
				return false
			}
		}
	}
	return true
}

// maxTraceDepth is how many frames of a stack the runtime writes into a trace.
const maxTraceDepth = 128

// entryOf returns the entry function of the goroutines of g, or "" if it is not
// certain. A goroutine that has not yet run shows what the compiler wrapped the
// function in, such as main.(*T).run-fm. One that was preempted may lack the callers
// of its leaf in a trace. One that C code calls has another entry in each call. So
// has the main goroutine before main.main, which sameEntries leaves out.
func entryOf(g *goroutine.Group) string {
	frames := g.Stack.Frames
	switch {
	case len(frames) <= 1 && (g.State == goroutine.Runnable || g.State == goroutine.Running), len(frames) >= maxTraceDepth:
		return ""
	case g.Stack.Has("runtime.cgocallback"), g.Stack.Has("runtime.cgocallbackg"), g.Stack.Has("runtime.main"):
		return ""
	}
	return g.Stack.Entry().Function
}

// mainID is the ID of the main goroutine.
const mainID = 1

// A watchedReader reports progress.
type watchedReader struct {
	r    io.Reader
	n    int64
	tell func(n int64, done bool)
}

func (r *Reader) watched(name string, in io.Reader) *watchedReader {
	return &watchedReader{r: in, tell: func(n int64, done bool) {
		if r.Progress != nil {
			r.Progress(name, n, done)
		}
	}}
}

func (w *watchedReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.n += int64(n)
	w.tell(w.n, false)
	return n, err
}

func (w *watchedReader) done() { w.tell(w.n, true) }
