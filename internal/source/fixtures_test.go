// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// atRest is how many goroutines of this process are blocked in parked.
const atRest = 9

// parked blocks forever. The tests find it in every format.
func parked(ready *sync.WaitGroup, c chan int) {
	ready.Done()
	<-c
}

// A format is a page of net/http/pprof as written by this process.
type format struct {
	name   string
	data   []byte
	source goroutine.Source
	ids    bool
}

// formats returns this process in every format, with and without compression.
var formats = sync.OnceValue(func() []format {
	var ready sync.WaitGroup
	ready.Add(atRest)
	pprof.Do(context.Background(), pprof.Labels("user", "secret-value"), func(context.Context) {
		for range atRest {
			go parked(&ready, make(chan int))
		}
	})
	ready.Wait()
	lookup := func(debug int) []byte {
		var b bytes.Buffer
		must(pprof.Lookup("goroutine").WriteTo(&b, debug))
		return b.Bytes()
	}
	var traced bytes.Buffer
	must(trace.Start(&traced))
	trace.Stop()
	profile := lookup(0)
	return []format{
		{"profile", profile, goroutine.SourceLabelled, false},
		{"profile, not compressed", unzipped(profile), goroutine.SourceLabelled, false},
		{"debug=1", lookup(1), goroutine.SourceLabelled, false},
		{"debug=1, compressed", zipped(lookup(1)), goroutine.SourceLabelled, false},
		{"dump", lookup(2), goroutine.SourceText, true},
		{"dump, compressed", zipped(lookup(2)), goroutine.SourceText, true},
		{"trace", traced.Bytes(), goroutine.SourceTrace, true},
		{"trace, compressed", zipped(traced.Bytes()), goroutine.SourceTrace, true},
	}
})

// page returns this process in one format.
func page(name string) []byte {
	for _, f := range formats() {
		if f.name == name {
			return f.data
		}
	}
	panic(name)
}

func must(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
}

func zipped(data []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	must(err, z.Close())
	return b.Bytes()
}

func unzipped(data []byte) []byte {
	z, err := gzip.NewReader(bytes.NewReader(data))
	must(err)
	data, err = io.ReadAll(z)
	must(err)
	return data
}

const (
	unlimited = 1 << 30
	// oneGoroutine is the shortest dump that has all parts.
	oneGoroutine = "goroutine 7 [sync.Mutex.Lock, 34 minutes]:\nsync.(*Mutex).Lock(0xc000010040)\n\t/go/src/sync/mutex.go:46 +0x1\n" +
		"main.work(0xc000010000)\n\t/app/main.go:29 +0x125\ncreated by main.main in goroutine 1\n\t/app/main.go:23 +0x12b\n"
	// oneCounted is the shortest debug=1 profile.
	oneCounted = "goroutine profile: total 1\n1 @ 0x1\n#\t0x1\tmain.main+0x1\t/app/main.go:1\n\n"
)

// taken is the time that these tests pass for every input.
var taken = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// allLabels keeps labels and their values.
var allLabels = parse.Labels{All: true}

func readBytes(data []byte) (*goroutine.Snapshot, error) {
	return newParsers().read(bytes.NewReader(data), taken, parse.Labels{}, unlimited)
}

// at returns how many goroutines have a function on their stack.
func at(s *goroutine.Snapshot, function string) (n int) {
	for i := range s.Groups {
		if s.Groups[i].Stack.Has(function) {
			n += s.Groups[i].Count
		}
	}
	return n
}

// file writes a file with the given modification time. It returns the file's
// path.
func file(t *testing.T, dir, name, content string, modified time.Time) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	require.NoError(t, os.Chtimes(path, modified, modified))
	return path
}
