// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

const (
	// ArchiveTimeout is how long one call of the function of [WithArchive] may take.
	ArchiveTimeout = 30 * time.Second
	// maxArchived is how many files wait for the function at most, besides the one that
	// it was called with.
	maxArchived = 16
	// maxArchivedBytes is how much of their content is kept in memory.
	maxArchivedBytes = 16 << 20
)

// WithArchive hands each file to a function: with [WithProfileDir] after it was written,
// and without it, as on a read-only file system, from memory. These are the profile, and
// with [WithFlightRecorder] the recording, of each detection, the profiles of
// [WithPeriodicProfiles], and what [Monitor.Capture] saves. The function may upload
// them, because the disk of a dead pod is gone:
//
//	otelgoroutine.WithArchive(func(ctx context.Context, f otelgoroutine.File) error {
//		content, err := f.Open()
//		if err != nil {
//			return err
//		}
//		defer content.Close()
//		return bucket.Upload(ctx, "goroutines/"+hostname+"/"+f.Name, content)
//	})
//
// It is called on a goroutine of its own, with one file at a time, in their order. ctx
// ends after [ArchiveTimeout]. Nothing waits for it: while it runs, up to 16 more files
// wait, with up to 16 MiB of content in memory. A larger content is read from the
// directory; where there is none, the file is dropped. An error, a panic and a file that
// was dropped are each reported once to the error handler of OpenTelemetry. There is no
// second attempt.
//
// [Monitor.Shutdown] waits until all files were handed over or its context is done;
// then ctx is cancelled and the rest is dropped.
func WithArchive(f func(ctx context.Context, f File) error) Option {
	return optionFunc(func(c *config) {
		if f == nil {
			c.refuse("WithArchive(nil): a function is needed; leave the option out if there is none")
		}
		c.archive = f
	})
}

// An archive hands files to the function of an option, on a goroutine of its own.
type archive struct {
	*complaints
	option string // its name, for errors
	lost   func() // called for each file that did not get there
	hand   func(context.Context, File) error
	ctx    context.Context // ends when nothing more is to be handed over
	cancel context.CancelFunc
	queue  chan File
	held   atomic.Int64  // bytes in memory
	done   chan struct{} // closed when the goroutine has ended
}

func newArchive(option string, hand func(context.Context, File) error, told *complaints, lost func()) *archive {
	a := &archive{complaints: told, option: option, lost: lost, hand: hand, queue: make(chan File, maxArchived), done: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	go a.run()
	return a
}

// add queues a file, and reports whether there was room for it.
func (a *archive) add(f File) bool {
	if size := int64(len(f.content)); a.held.Add(size) > maxArchivedBytes {
		a.held.Add(-size)
		if f.Path == "" {
			a.drop(fmt.Errorf("%s was dropped: with it, over %d MiB would wait in memory", f.Name, maxArchivedBytes>>20))
			return false
		}
		f.content = nil
	}
	select {
	case a.queue <- f:
		return true
	default:
		a.held.Add(-int64(len(f.content)))
		a.drop(fmt.Errorf("%s was not handed over: %d files wait already", f.Name, maxArchived))
		return false
	}
}

// drop notes that there was no room for a file.
func (a *archive) drop(why error) {
	a.lost()
	a.complain(a.option+" full", fmt.Errorf("otelgoroutine: %s: %w", a.option, why))
}

func (a *archive) run() {
	defer close(a.done)
	defer a.cancel()
	for f := range a.queue {
		if !a.deliver(f) {
			a.lost()
		}
		a.held.Add(-int64(len(f.content)))
	}
}

// deliver reports whether the function took the file.
func (a *archive) deliver(f File) (taken bool) {
	if a.ctx.Err() != nil {
		return false
	}
	defer a.survive()
	ctx, cancel := context.WithTimeout(a.ctx, ArchiveTimeout)
	defer cancel()
	if err := a.hand(ctx, f); err != nil {
		a.complain(a.option, fmt.Errorf("otelgoroutine: %s: %s: %w", a.option, f.Name, err))
		return false
	}
	return true
}

// end says that no more files come. A nil archive has none.
func (a *archive) end() {
	if a != nil {
		close(a.queue)
	}
}

// wait waits until all files were handed over. If ctx is done first, the rest is dropped.
func (a *archive) wait(ctx context.Context) error {
	if a == nil {
		return nil
	}
	select {
	case <-a.done:
		return nil
	default:
	}
	select {
	case <-a.done:
		return nil
	case <-ctx.Done():
		a.cancel()
		return fmt.Errorf("otelgoroutine: Shutdown: not all files were handed to the function of %s: %w", a.option, ctx.Err())
	}
}
