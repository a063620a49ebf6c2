package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A Reader reads snapshots. Its fields must not change while it is in use.
type Reader struct {
	HTTP     HTTP
	Endpoint Endpoint // of processes
	Labels   parse.Labels
	Max      int64         // bytes of one input, before and after decompression
	Every    time.Duration // files were taken this far apart, as ordered; 0: when they say
	Samples  int           // looks at a process, Every apart; at least 1
	Ordered  bool          // the order is that of the arguments, whatever the times
	Stdin    io.Reader

	// Progress is told how much of an input has been read. It may be nil.
	Progress func(name string, bytes int64, done bool)
	// Note takes sentences about what could not be had. It may be nil.
	Note func(string)
}

func (r *Reader) note(sentence string) {
	if r.Note != nil {
		r.Note(sentence)
	}
}

func (r *Reader) wantsLabels() bool { return r.Labels.All && !r.Labels.Hide || len(r.Labels.Keys) > 0 }

// A Series is snapshots of one process, oldest first.
type Series struct {
	Names     []string
	Snapshots []*goroutine.Snapshot
	// Same: the IDs in them are of one process, as far as can be told.
	Same bool
	// Partial is what was wrong with inputs that could be read in part.
	Partial error
}

// Read reads a series from files, standard input ("-") or one process. The
// error names the input that could not be read.
func (r *Reader) Read(ctx context.Context, names []string) (*Series, error) {
	var partial []error
	series := &Series{}
	p := newParsers()
	for _, in := range r.order(names) {
		snapshots, err := r.input(ctx, p, in)
		if len(snapshots) == 0 {
			return nil, err
		}
		partial = append(partial, err)
		for _, s := range snapshots {
			series.Names = append(series.Names, in.name)
			series.Snapshots = append(series.Snapshots, s)
		}
	}
	r.arrange(series)
	series.Same = sameProcess(series.Snapshots)
	series.Partial = oneLine(errors.Join(partial...))
	return series, nil
}

// An input is one argument, and when it was taken.
type input struct {
	name string
	at   time.Time
}

// order brings files into the order of their time, so that goroutines are known
// again. Without --every, what has the same time stays in the order given.
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

func (r *Reader) input(ctx context.Context, p *parsers, in input) ([]*goroutine.Snapshot, error) {
	if IsURL(in.name) {
		return r.process(ctx, p, in.name)
	}
	file := io.NopCloser(r.Stdin)
	if in.name != "-" {
		f, err := os.Open(in.name)
		if err != nil {
			return nil, plain(err)
		}
		if info, err := f.Stat(); err == nil && info.IsDir() {
			f.Close()
			return nil, fmt.Errorf("%s: this is a directory", in.name)
		}
		file = f
	}
	defer file.Close()
	body := r.watched(in.name, file)
	defer body.done()
	s, _, err := p.read(body, in.at, r.Labels, r.Max)
	if err != nil {
		err = fmt.Errorf("%s: %w", in.name, err)
	}
	if s == nil || s.Total == 0 && err != nil {
		return nil, err
	}
	return []*goroutine.Snapshot{s}, err
}

// plain shortens "open x: no such file".
func plain(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

// process looks at a process, several times where that was asked for.
func (r *Reader) process(ctx context.Context, p *parsers, name string) ([]*goroutine.Snapshot, error) {
	remote, err := r.Remote(name)
	if err != nil {
		return nil, err
	}
	remote.parsers = p
	var all []*goroutine.Snapshot
	for i := range max(1, r.Samples) {
		if i > 0 {
			if err := r.wait(ctx, name); err != nil {
				return all, err
			}
		}
		s, err := remote.Take(ctx)
		if s == nil || s.Total == 0 && err != nil {
			return all, err
		}
		all = append(all, s)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// wait waits for the time of the next look.
func (r *Reader) wait(ctx context.Context, name string) error {
	if r.Progress != nil {
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

// arrange makes the times of a series rise: detectors need that.
func (r *Reader) arrange(series *Series) {
	s := series.Snapshots
	if r.Every > 0 && r.Samples <= 1 {
		for i := 1; i < len(s); i++ {
			s[i].Time = s[0].Time.Add(time.Duration(i) * r.Every)
		}
		return
	}
	order := make([]int, len(s))
	for i := range order {
		order[i] = i
	}
	if !r.Ordered {
		slices.SortStableFunc(order, func(a, b int) int { return s[a].Time.Compare(s[b].Time) })
	}
	sorted := Series{}
	for _, i := range order {
		sorted.Snapshots = append(sorted.Snapshots, s[i])
		sorted.Names = append(sorted.Names, series.Names[i])
	}
	series.Snapshots, series.Names = sorted.Snapshots, sorted.Names
	for i := 1; i < len(s); i++ {
		if last := sorted.Snapshots[i-1].Time; !sorted.Snapshots[i].Time.After(last) {
			sorted.Snapshots[i].Time = last.Add(time.Millisecond)
			r.note(fmt.Sprintf("%s: as old as the one before, so rates mean nothing; --every tells how far apart they were taken", sorted.Names[i]))
		}
	}
}

// slack is by how many a goroutine's ID may be older than its birth: 16 for
// each P.
const slack = 1024

// sameProcess reports whether the snapshots can be of one process: IDs rise,
// and no more goroutines are as old as a snapshot than were in it.
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

// Continues reports whether two snapshots with IDs can be of one process.
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

// sameEntries reports whether the goroutines that both snapshots list were
// started with the same functions: what a goroutine was started with never
// changes.
func sameEntries(before, after *goroutine.Snapshot) bool {
	entries := make(map[uint64]string)
	for i := range before.Groups {
		g := &before.Groups[i]
		for _, id := range g.IDs {
			entries[id] = g.Stack.Entry().Function
		}
	}
	for i := range after.Groups {
		g := &after.Groups[i]
		entry := g.Stack.Entry().Function
		for _, id := range g.IDs {
			if was := entries[id]; was != "" && entry != "" && was != entry {
				return false
			}
		}
	}
	return true
}

// A watchedReader tells progress.
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
