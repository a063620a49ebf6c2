// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// peekSize is how many bytes of the content are used to detect its format.
const peekSize = 64 << 10

// parsers reads the snapshots of one process. It keeps state between snapshots
// so that goroutines are recognized.
type parsers struct {
	stacks *parse.Stacks
	births *goroutine.Births
	traces *parse.TraceDecoder
	ctx    context.Context // of the current read

	generation uint64 // of the last trace; see Remote.Generation
	setting    string // the name of the setting of the limit

	// details has what goroutine dumps say beyond their snapshots.
	details map[*goroutine.Snapshot]*parse.Details
}

func newParsers() *parsers {
	p := &parsers{ctx: context.Background(), stacks: parse.NewStacks(), births: &goroutine.Births{}, details: make(map[*goroutine.Snapshot]*parse.Details)}
	p.traces = parse.NewTraceDecoder(p.stacks, p.births)
	p.traces.ExcludeReader = true // its goroutine runs only because a trace is taken
	return p
}

// A located snapshot is one that an input contains, and where: the line of its first
// goroutine, or 0 when it is the whole input.
type located struct {
	*goroutine.Snapshot
	line    int
	untimed bool   // nothing in the input tells when it was taken
	process string // where the input has dumps of several
}

// read reads one snapshot in any format. All goroutines of a text are of one dump, as
// a process serves it.
func (p *parsers) read(r io.Reader, at time.Time, labels parse.Labels, limit int64) (*goroutine.Snapshot, error) {
	all, err := p.within(r, at, labels, limit, p.dump)
	if len(all) == 0 {
		return nil, err
	}
	return all[0].Snapshot, err
}

// readAll reads snapshots in any format: one, or as many as a text has goroutine
// dumps, whatever the text is wrapped in.
func (p *parsers) readAll(r io.Reader, at time.Time, labels parse.Labels, limit int64) ([]located, error) {
	p.traces.Old = true // of a process, a profile says more
	defer func() { p.traces.Old = false }()
	return p.within(r, at, labels, limit, p.dumps)
}

// A textReader reads goroutines as text.
type textReader func(r *bufio.Reader, at time.Time) ([]located, error)

// within reads snapshots within a limit. at is the time at which they were taken, as
// far as the caller knows; a profile that contains a time keeps its own. It may return
// both snapshots and an error that describes what they lack.
func (p *parsers) within(r io.Reader, at time.Time, labels parse.Labels, limit int64, text textReader) ([]located, error) {
	began := time.Now()
	in := &bounded{r: r, left: limit, limit: limit, setting: cmp.Or(p.setting, flags.MaxSize)}
	all, err := p.content(bufio.NewReaderSize(in, peekSize), at, labels, limit, text, false)
	switch {
	case in.over != nil:
		err = in.over // the parser only reports a truncated input
	case in.broken != nil:
		err = in.broken
	case err != nil:
		err = &contentError{oneLine(err)}
	}
	for _, s := range all {
		if s.Duration == 0 {
			s.Duration = time.Since(began)
		}
	}
	return all, err
}

// A contentError describes what is wrong with content that was fetched
// successfully.
type contentError struct{ error }

func (e *contentError) Unwrap() error { return e.error }

func (p *parsers) content(r *bufio.Reader, at time.Time, labels parse.Labels, limit int64, text textReader, unpacked bool) ([]located, error) {
	head, err := r.Peek(peekSize)
	if len(head) == 0 && err != nil && err != io.EOF {
		return nil, err
	}
	switch kind := kindOf(head); {
	case kind == kindGzip && !unpacked:
		return p.unpack(r, at, labels, limit, text)
	case kind == kindText:
		return text(r, at)
	case kind == kindHTML:
		all, err := text(r, at) // a page may show a dump
		if total(all) == 0 {
			return nil, errors.New(string(kind))
		}
		return all, err
	case kind == kindTrace, kind == kindDebug1, kind == kindProfile:
		data, err := io.ReadAll(r)
		if err != nil && len(data) == 0 {
			return nil, err
		}
		s, err := await(p.ctx, func() (*goroutine.Snapshot, error) { return p.whole(kind, data, at, labels) }) // if reading failed, that is the error
		if s == nil {
			return nil, err
		}
		return []located{{Snapshot: s}}, err
	default:
		return nil, errors.New(string(kind))
	}
}

// dump reads a text as one dump.
func (p *parsers) dump(r *bufio.Reader, at time.Time) ([]located, error) {
	s, details, err := parse.Read(parse.NewTextReader(r), at, p.stacks, p.births)
	p.remember(s, details)
	if s.Total == 0 && err == nil {
		err = errors.New("no goroutine found")
	}
	return []located{{Snapshot: s}}, err
}

// maxDetails is of how many snapshots details are kept.
const maxDetails = 1024

func (p *parsers) remember(s *goroutine.Snapshot, d *parse.Details) {
	if p.details == nil {
		return // nothing asks for them
	}
	if len(p.details) >= maxDetails {
		clear(p.details) // as in watch, which never shows them
	}
	p.details[s] = d
}

// dumps reads the dumps in a text.
func (p *parsers) dumps(r *bufio.Reader, at time.Time) ([]located, error) {
	dumps, err := parse.Dumps(parse.NewTextReader(r), at, p.stacks, p.births)
	var all []located
	for _, d := range dumps {
		p.remember(d.Snapshot, d.Details)
		all = append(all, located{d.Snapshot, d.Line, !d.Timed, d.Process})
	}
	if len(all) == 1 {
		all[0].line = 0
	}
	if len(all) == 1 && all[0].Total == 0 && err == nil && dumps[0].Details.Crash.Kind == parse.NoCrash {
		err = errors.New("no goroutine found")
	}
	return all, err
}

// whole reads the formats that cannot be read as a stream.
func (p *parsers) whole(k kind, data []byte, at time.Time, labels parse.Labels) (*goroutine.Snapshot, error) {
	switch k {
	case kindTrace:
		p.noteGeneration(data)
		return p.traces.Decode(data, at)
	case kindDebug1:
		return parse.Debug1(data, at, p.stacks, labels)
	}
	s, err := parse.Profile(data, time.Time{}, p.stacks, labels)
	if s != nil && s.Time.IsZero() {
		s.Time = at
	}
	return s, err
}

// unpack reads compressed content. The limit applies again to the decompressed
// size.
func (p *parsers) unpack(r io.Reader, at time.Time, labels parse.Labels, limit int64, text textReader) ([]located, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("decompressing: %w", err)
	}
	in := &bounded{r: z, left: limit, limit: limit, setting: cmp.Or(p.setting, flags.MaxSize), what: "decompressed "}
	s, err := p.content(bufio.NewReaderSize(in, peekSize), at, labels, limit, text, true)
	switch {
	case in.over != nil:
		return nil, in.over
	case errors.Is(in.broken, io.ErrUnexpectedEOF) && len(s) > 0:
		return s, fmt.Errorf("decompressing: %w: the compressed data is cut off, and only what comes before is read", in.broken)
	case in.broken != nil:
		return s, fmt.Errorf("decompressing: %w", in.broken)
	}
	return s, err
}

// A kind is the format of content. For content that cannot be read, it is the
// reason.
type kind string

const (
	kindGzip    kind = "it is compressed twice"
	kindTrace   kind = "trace"
	kindProfile kind = "profile"
	kindDebug1  kind = "debug=1"
	kindText    kind = "text"
	kindEmpty   kind = "it is empty"
	kindHTML    kind = "this is HTML, not goroutines: an error page, a login page, or the index page of /debug/pprof/"
	kindBinary  kind = "unknown format: neither a pprof profile, an execution trace nor goroutines as text"
)

func kindOf(head []byte) kind {
	if len(head) == peekSize && len(bytes.Trim(head, "\x00")) == 0 {
		return kindText // a log that was truncated while it was written
	}
	head = decoded(head)
	text := bytes.TrimSpace(head)
	switch {
	case len(text) == 0:
		return kindEmpty
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return kindGzip
	case bytes.HasPrefix(head, []byte("go 1.")) && bytes.Contains(head[:min(len(head), 16)], []byte(" trace")):
		return kindTrace
	case isHTML(text):
		return kindHTML
	case isText(head):
		if i := bytes.Index(head, []byte(" profile: total ")); i > 0 && !bytes.Contains(head[:i], []byte("\ngoroutine ")) && !bytes.HasPrefix(head, []byte("goroutine 1 ")) {
			return kindDebug1
		}
		return kindText
	case couldBeProfile(head):
		return kindProfile
	}
	return kindBinary
}

// decoded returns text in UTF-16, or after NUL bytes, as it is read.
func decoded(head []byte) []byte {
	if bytes.IndexByte(head, 0) < 0 {
		return head
	}
	text, err := io.ReadAll(parse.NewTextReader(bufio.NewReaderSize(bytes.NewReader(head), len(head))))
	if err != nil || !isText(text) || len(bytes.TrimSpace(text)) == 0 {
		return head
	}
	return text
}

func isHTML(text []byte) bool {
	lower := bytes.ToLower(text[:min(len(text), 64)])
	for _, start := range []string{"<!doctype html", "<html", "<head", "<body", "<!--", "<?xml", "<title"} {
		if bytes.HasPrefix(lower, []byte(start)) {
			return true
		}
	}
	return false
}

// isText reports whether the first 4 KiB are mostly valid UTF-8 and contain no
// control characters other than those used in text and by terminals.
func isText(head []byte) bool {
	head = head[:min(len(head), 4<<10)]
	invalid := 0
	for i := 0; i < len(head); {
		r, n := utf8.DecodeRune(head[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			invalid++
		case r < ' ' && !strings.ContainsRune("\t\n\r\v\f\b\x1b\x1e", r):
			return false
		}
		i += n
	}
	return invalid*50 <= len(head)
}

// couldBeProfile reports whether the first byte is the tag of a profile field:
// a number from 1 to 15 with a wire type that such a field can have.
func couldBeProfile(head []byte) bool {
	number, wire := head[0]>>3, head[0]&7
	return head[0] < 0x80 && number >= 1 && number <= 15 && (wire == 0 || wire == 2)
}

// A bounded reader fails at the first byte beyond its limit.
type bounded struct {
	r       io.Reader
	left    int64
	limit   int64
	what    string
	setting string // the name of the setting of the limit
	over    error  // set once the limit is exceeded
	broken  error  // error of the underlying reader
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.broken != nil {
		return 0, b.broken // the first error says why
	}
	if b.left <= 0 {
		var one [1]byte
		n, err := b.r.Read(one[:])
		if n == 0 {
			return 0, err
		}
		b.over = fmt.Errorf("over %s of %sdata (the limit is %s)", size(b.limit), b.what, b.setting)
		return 0, b.over
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err != nil && err != io.EOF {
		b.broken = err
	}
	return n, err
}

// size formats a number of bytes.
func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// oneLine returns the first line of an error and the number of further lines.
func oneLine(err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	if len(lines) == 1 {
		return err
	}
	return fmt.Errorf("%s (and %d more)", lines[0], len(lines)-1)
}
