// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/pprof"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

const parkedName = "github.com/otelgoroutine/go/internal/source.parked"

func TestFormats(t *testing.T) {
	for _, f := range formats() {
		t.Run(f.name, func(t *testing.T) {
			s, err := newParsers().read(bytes.NewReader(f.data), taken, allLabels, unlimited)
			require.NoError(t, err)
			assert.Equal(t, f.source, s.Source)
			assert.Equal(t, f.ids, s.HasIDs())
			assert.Equal(t, atRest, at(s, parkedName))
			assert.Positive(t, s.Duration)
			assert.Zero(t, s.Missing)
			sum := 0
			for _, n := range s.States() {
				sum += n
			}
			assert.Equal(t, s.Total, sum)
		})
	}
}

// TestTimeOfASnapshot checks that only a profile has a time of its own.
func TestTimeOfASnapshot(t *testing.T) {
	for _, f := range formats() {
		s, err := readBytes(f.data)
		require.NoError(t, err, f.name)
		if strings.HasPrefix(f.name, "profile") {
			assert.WithinDuration(t, time.Now(), s.Time, time.Hour, f.name)
		} else {
			assert.Equal(t, taken, s.Time, f.name)
		}
	}
	p, err := profile.ParseData(page("profile"))
	require.NoError(t, err)
	p.TimeNanos, p.DurationNanos = 0, int64(3*time.Second)
	var timeless bytes.Buffer
	require.NoError(t, p.Write(&timeless))
	s, err := readBytes(timeless.Bytes())
	require.NoError(t, err)
	assert.Equal(t, taken, s.Time)
	assert.Equal(t, 3*time.Second, s.Duration, "the profile's own, not how long it took to read")
}

func TestKinds(t *testing.T) {
	for name, c := range map[string]struct {
		head string
		want kind
	}{
		"nothing":                         {"", kindEmpty},
		"blank lines":                     {" \r\n\t\n", kindEmpty},
		"gzip":                            {"\x1f\x8b\x08\x00", kindGzip},
		"trace":                           {"go 1.26 trace\x00\x00\x00\x00", kindTrace},
		"trace of a later Go":             {"go 1.103 trace\x00\x00\x00", kindTrace},
		"words about a trace":             {"go 1.26 makes no trace", kindText},
		"document type":                   {"<!DOCTYPE html>\n<html>", kindHTML},
		"HTML after blanks":               {"\n  <HTML lang=en>", kindHTML},
		"HTML that begins with a title":   {"<title>/debug/pprof/</title>", kindHTML},
		"XML error":                       {`<?xml version="1.0"?><Error/>`, kindHTML},
		"commented page":                  {"<!-- proxy --><p>", kindHTML},
		"dump":                            {oneGoroutine, kindText},
		"debug=1":                         {oneCounted, kindDebug1},
		"debug=1 in a log":                {"started\n" + oneCounted, kindDebug1},
		"dump that quotes debug=1":        {"goroutine 1 [running]:\nmain.main()\n\tx profile: total 3\n", kindText},
		"debug=1 behind a dump":           {"log\n" + oneGoroutine + "\n" + oneCounted, kindText},
		"colours of a terminal":           {"\x1b[31mgoroutine 1 [running]:\x1b[0m\n", kindText},
		"not English":                     {"サービスが停止しました\ngoroutine 1 [running]:\n", kindText},
		"a Latin-1 letter in a long text": {strings.Repeat("x", 200) + "\xe9", kindText},
		"picture":                         {"\x89PNG\r\n\x1a\n\x00\x00", kindBinary},
		"program":                         {"\x7fELF\x02\x01\x01\x00", kindBinary},
		"zeros":                           {"\x00\x00\x00\x00", kindBinary},
		"only invalid UTF-8":              {"\xff\xfe\xfd\xfc", kindBinary},
		"sample type of a profile":        {"\x0a\x04\x08\x01\x10\x02", kindProfile},
		"time of a profile":               {"\x48\x01", kindProfile},
		"field 16, which no profile has":  {"\x82\x01\x00", kindBinary},
		"a wire type that no profile has": {"\x0d\x00\x00\x00\x00", kindBinary},
	} {
		assert.Equal(t, c.want, kindOf([]byte(c.head)), name)
	}
}

func TestContentThatCannotBeRead(t *testing.T) {
	var heap, threads bytes.Buffer
	require.NoError(t, errors.Join(pprof.Lookup("heap").WriteTo(&heap, 0), pprof.Lookup("threadcreate").WriteTo(&threads, 0)))
	for name, c := range map[string]struct {
		content string
		want    string
	}{
		"empty":                   {"", "it is empty"},
		"compressed nothing":      {string(zipped(nil)), "it is empty"},
		"HTML":                    {"<html>sign in</html>", "this is HTML, not goroutines: an error page, a login page, or the index page of /debug/pprof/"},
		"compressed HTML":         {string(zipped([]byte("<html>"))), "this is HTML"},
		"compressed twice":        {string(zipped(zipped([]byte(oneGoroutine)))), "it is compressed twice"},
		"gzip without a body":     {"\x1f\x8b", "decompressing: unexpected EOF"},
		"gzip of an unknown kind": {"\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x00", "decompressing: gzip: invalid header"},
		"words":                   {"hello\nworld\n", "no goroutine found"},
		"a panic without a trace": {"panic: assignment to entry in nil map\n", "no goroutine found"},
		"heap profile":            {heap.String(), "alloc_objects/count, alloc_space/bytes, inuse_objects/count, inuse_space/bytes"},
		"profile of threads":      {threads.String(), "threadcreate/count"},
		"a trace of a future Go":  {"go 1.999 trace\x00\x00", "version"},
		"damaged profile":         {"\x0a\xff\xff\xff\xff\x0f", "goroutine profile: "},
		"debug=1 of another kind": {"heap profile: total 1\n", "goroutine profile: total N"},
	} {
		s, err := readBytes([]byte(c.content))
		require.ErrorContains(t, err, c.want, name)
		assert.NotContains(t, err.Error(), "\n", name)
		if s != nil {
			assert.Zero(t, s.Total, name)
		}
		var content *contentError
		assert.ErrorAs(t, err, &content, "%s: it could be fetched", name)
	}
}

// TestTruncated truncates every format at many lengths. Either there is an
// error or nothing is missing, and there are never more goroutines than in the
// complete input.
func TestTruncated(t *testing.T) {
	for _, f := range formats() {
		whole, err := readBytes(f.data)
		require.NoError(t, err)
		partial := 0
		for i := range 40 {
			cut := len(f.data) * i / 40
			s, err := readBytes(f.data[:cut])
			if s == nil || err != nil && s.Total == 0 {
				require.Error(t, err, "%s cut at %d", f.name, cut)
				continue
			}
			partial++
			if f.source != goroutine.SourceTrace { // a trace without its end does not distinguish the runtime's own goroutines
				require.LessOrEqual(t, s.Total+s.Missing, whole.Total+whole.Missing, "%s cut at %d", f.name, cut)
			}
			if err != nil {
				assert.NotContains(t, err.Error(), "\n")
			}
		}
		if f.name == "dump" || f.name == "debug=1" {
			assert.Positive(t, partial, "%s: what comes before the cut is read", f.name)
		}
	}
}

func TestTruncatedErrors(t *testing.T) {
	counted := page("debug=1")
	var dump bytes.Buffer // larger than the peeked part, and hard to compress
	for i := range 4000 {
		fmt.Fprintf(&dump, "goroutine %d [select]:\nmain.work(%#x)\n\t/app/main.go:%d +0x125\n\n", i+1, goroutine.DigestID(uint64(i)), i)
	}
	packed := zipped(dump.Bytes())
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"dump within a call":   {[]byte(oneGoroutine + "\ngoroutine 9 [chan receive, 12 minutes]:\nmain.serve(0xc0000"), "ends within a call"},
		"debug=1 without ends": {counted[:bytes.LastIndex(counted, []byte("\n1 @"))+1], "cut off or damaged"},
		"compressed dump":      {packed[:len(packed)*3/4], "decompressing: unexpected EOF"},
	} {
		s, err := readBytes(c.data)
		require.ErrorContains(t, err, c.want, name)
		require.NotNil(t, s, name)
		assert.Positive(t, s.Total, name)
	}
}

func TestLimit(t *testing.T) {
	text := []byte(strings.Repeat(oneGoroutine+"\n", 400))
	size := int64(len(text))
	packed := zipped(text)
	require.Less(t, len(packed), len(text)/10)
	for name, c := range map[string]struct {
		data  []byte
		limit int64
		want  string
	}{
		"as large as the limit":  {text, size, ""},
		"a byte larger":          {text, size - 1, "data (the limit is --max-size)"},
		"in KiB":                 {text, 64 << 10, "over 64 KiB of data"},
		"in bytes":               {text, 1000, "over 1000 bytes of data"},
		"large once unpacked":    {packed, 32 << 10, "over 32 KiB of decompressed data"},
		"unpacked, at the limit": {packed, size, ""},
		"large before unpacking": {packed, 100, "over 100 bytes of data"},
		"profile":                {page("profile"), 100, "over 100 bytes of data"},
		"trace":                  {page("trace"), 1 << 10, "over 1 KiB of data"},
		"debug=1":                {page("debug=1"), 1 << 10, "over 1 KiB of data"},
	} {
		s, err := newParsers().read(bytes.NewReader(c.data), taken, parse.Labels{}, c.limit)
		if c.want == "" {
			require.NoError(t, err, name)
			assert.Equal(t, 400, s.Total, name)
			continue
		}
		require.ErrorContains(t, err, c.want, name)
		var content *contentError
		if errors.As(err, &content) {
			assert.Contains(t, c.want, "decompressed", "%s: the limit is at fault, not the content", name)
		}
	}
}

// TestReaderThatFails checks that the error of a reader is returned, not the
// parser's error about truncated input.
func TestReaderThatFails(t *testing.T) {
	reset := errors.New("connection reset")
	for _, f := range formats() {
		for _, n := range []int{0, 1, len(f.data) / 2, len(f.data) - 1} {
			in := io.MultiReader(bytes.NewReader(f.data[:n]), iotest.ErrReader(reset))
			_, err := newParsers().read(in, taken, parse.Labels{}, unlimited)
			require.ErrorIs(t, err, reset, "%s after %d bytes", f.name, n)
			var content *contentError
			assert.False(t, errors.As(err, &content), "%s after %d bytes", f.name, n)
		}
	}
}

// TestShortReads reads byte by byte, as from a slow connection.
func TestShortReads(t *testing.T) {
	for _, f := range formats() {
		want, err := readBytes(f.data)
		require.NoError(t, err)
		got, err := newParsers().read(iotest.OneByteReader(bytes.NewReader(f.data)), taken, parse.Labels{}, unlimited)
		require.NoError(t, err, f.name)
		assert.Equal(t, want.Total, got.Total, f.name)
		assert.Equal(t, want.States(), got.States(), f.name)
	}
}

func TestLabels(t *testing.T) {
	user := func(value string) []goroutine.Label { return []goroutine.Label{{Key: "user", Value: value}} }
	for name, c := range map[string]struct {
		labels parse.Labels
		want   []goroutine.Label
	}{
		"none":           {parse.Labels{}, nil},
		"all":            {parse.Labels{All: true}, user("secret-value")},
		"all, no values": {parse.Labels{All: true, Hide: true}, user("")},
		"this one":       {parse.Labels{Keys: []string{"user"}}, user("secret-value")},
		"another one":    {parse.Labels{Keys: []string{"tenant"}}, nil},
	} {
		for _, f := range []string{"profile", "debug=1"} {
			s, err := newParsers().read(bytes.NewReader(page(f)), taken, c.labels, unlimited)
			require.NoError(t, err)
			for i := range s.Groups {
				if s.Groups[i].Stack.Has(parkedName) {
					assert.Equal(t, c.want, s.Groups[i].Labels, "%s of a %s", name, f)
				}
			}
		}
	}
}

// TestGoroutinesAreRecognized reads two dumps of one process. The second shows
// which goroutines are older than the first dump.
func TestGoroutinesAreRecognized(t *testing.T) {
	dump := func(ids ...int) io.Reader {
		var b strings.Builder
		for _, id := range ids {
			fmt.Fprintf(&b, "goroutine %d [select]:\nmain.work()\n\t/app/main.go:29 +0x125\n\n", id)
		}
		return strings.NewReader(b.String())
	}
	p := newParsers()
	first, err := p.read(dump(1, 5, 30), taken, parse.Labels{}, unlimited)
	require.NoError(t, err)
	second, err := p.read(dump(1, 30, 50, 51), taken.Add(time.Minute), parse.Labels{}, unlimited)
	require.NoError(t, err)
	old, _ := second.BornBy(&second.Groups[0], first.Epochs[len(first.Epochs)-1].LastID)
	assert.Equal(t, 2, old, "1 and 30")
	assert.Same(t, first.Groups[0].Stack, second.Groups[0].Stack, "stacks are shared")
	assert.True(t, Continues(first, second))
}

// TestDumpsOfDayToDay reads dumps as the runtime and its older versions write
// them.
func TestDumpsOfDayToDay(t *testing.T) {
	lock := "internal/sync.(*Mutex).lockSlow(0xc0000a160)\n\t/go/src/internal/sync/mutex.go:149 +0x15d\nsync.(*Mutex).Lock(...)\n\t/go/src/sync/mutex.go:46\n"
	for name, c := range map[string]struct {
		text   string
		states map[goroutine.State]int
		leaf   string // the innermost function outside the standard library
	}{
		"all asleep": {
			"fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [sync.WaitGroup.Wait]:\nsync.(*WaitGroup).Wait(0xc042070030)\n\t/go/src/sync/waitgroup.go:129 +0x79\nmain.main()\n\t/app/main.go:121 +0x5f7\nexit status 2\n",
			map[goroutine.State]int{"sync.WaitGroup.Wait": 1}, "main.main",
		},
		"locks in two orders": {
			"goroutine 24 [sync.Mutex.Lock]:\n" + lock + "main.(*Account).Deposit(0x5f5e100?, 0x1)\n\t/app/main.go:30 +0x49\n\ngoroutine 25 [sync.Mutex.Lock]:\n" + lock + "main.(*Account).Deposit(0x5f5e100?, 0x1)\n\t/app/main.go:30 +0x49\n",
			map[goroutine.State]int{goroutine.MutexLock: 2}, "main.(*Account).Deposit",
		},
		"a mutex before Go 1.9": {
			"goroutine 7997 [semacquire, 96 minutes]:\nsync.runtime_Semacquire(0xb55e0c)\n\t/go/src/runtime/sema.go:43 +0x2d\nsync.(*Mutex).Lock(0xb55e08)\n\t/go/src/sync/mutex.go:82 +0x1c3\nmain.status(0xc208120750)\n\t/app/main.go:388 +0x98\n",
			map[goroutine.State]int{goroutine.MutexLock: 1}, "main.status",
		},
		"stack overflow": {
			"fatal error: stack overflow\n\ngoroutine 21 gp=0x14000003880 m=4 mp=0x14000063b08 [running]:\nmain.w(0x1)\n\t/app/main.go:14 +0x4c fp=0x1 sp=0x1 pc=0x1\n...1048525 frames elided...\nmain.main()\n\t/app/main.go:66 +0x38 fp=0x1 sp=0x1 pc=0x1\n",
			map[goroutine.State]int{goroutine.Running: 1}, "main.w",
		},
		"CRLF": {
			strings.ReplaceAll(oneGoroutine, "\n", "\r\n"),
			map[goroutine.State]int{goroutine.MutexLock: 1}, "main.work",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := readBytes([]byte(c.text))
			require.NoError(t, err)
			assert.Equal(t, c.states, s.States())
			assert.Equal(t, c.leaf, s.Groups[0].Stack.User().Function)
		})
	}
}

func TestOneLine(t *testing.T) {
	require.NoError(t, oneLine(nil))
	single := errors.New("alone")
	assert.Same(t, single, oneLine(single))
	assert.EqualError(t, oneLine(errors.Join(errors.New("a"), errors.New("b"), errors.New("c"))), "a (and 2 more)")
}
