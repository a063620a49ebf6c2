// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// byteOrderMarks are how files in a Unicode encoding may begin.
var (
	mark8     = []byte{0xef, 0xbb, 0xbf}
	markLow   = []byte{0xff, 0xfe}
	markHigh  = []byte{0xfe, 0xff}
	guessSize = 1 << 10
)

// NewTextReader returns a reader of r as UTF-8 without a byte order mark and
// without NUL bytes, which a truncated log begins with. It recognizes UTF-16 by its
// byte order mark, or by every second byte being NUL. Lines may end with carriage
// returns alone.
func NewTextReader(r *bufio.Reader) io.Reader {
	head, _ := r.Peek(guessSize)
	order, marked := utf16Order(head)
	if order != nil {
		if marked {
			_, _ = r.Discard(len(markLow))
		}
		return &utf16Reader{in: r, order: order}
	}
	if bytes.HasPrefix(head, mark8) {
		_, _ = r.Discard(len(mark8))
	}
	if bytes.IndexByte(head, '\n') < 0 && bytes.Count(head, []byte{'\r'}) > 1 {
		return &withNewlines{withoutNULs{r}}
	}
	return &withoutNULs{r}
}

// utf16Order returns the byte order of UTF-16, or nil if head is something else. It
// is not taken for UTF-16 if it has no ASCII.
func utf16Order(head []byte) (order binary.ByteOrder, marked bool) {
	switch low, high := nulsAt(head, 1), nulsAt(head, 0); {
	case bytes.HasPrefix(head, markLow) && low > 0:
		return binary.LittleEndian, true
	case bytes.HasPrefix(head, markHigh) && high > 0:
		return binary.BigEndian, true
	case len(head) < 16:
		return nil, false
	case low*5 > len(head)*2 && high*20 < len(head):
		return binary.LittleEndian, false
	case high*5 > len(head)*2 && low*20 < len(head):
		return binary.BigEndian, false
	}
	return nil, false
}

// nulsAt returns how many of the bytes at even (0) or odd (1) offsets are NUL.
func nulsAt(b []byte, odd int) (n int) {
	for i := odd; i < len(b); i += 2 {
		if b[i] == 0 {
			n++
		}
	}
	return n
}

// withoutNULs removes NUL bytes.
type withoutNULs struct{ r io.Reader }

func (w *withoutNULs) Read(p []byte) (int, error) {
	for {
		n, err := w.r.Read(p)
		if i := bytes.IndexByte(p[:n], 0); i >= 0 {
			kept := p[:i]
			for _, c := range p[i:n] {
				if c != 0 {
					kept = append(kept, c)
				}
			}
			n = len(kept)
		}
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// withNewlines replaces the carriage returns of a text whose lines end with these alone.
type withNewlines struct{ r withoutNULs }

func (w *withNewlines) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	for i, c := range p[:n] {
		if c == '\r' {
			p[i] = '\n'
		}
	}
	return n, err
}

// utf16Reader reads UTF-16 as UTF-8.
type utf16Reader struct {
	in    *bufio.Reader
	order binary.ByteOrder
	out   []byte // not yet returned
	room  []byte
	units [4 << 10]byte
	high  rune // the first half of a surrogate pair; 0: none
	err   error
}

func (u *utf16Reader) Read(p []byte) (int, error) {
	for len(u.out) == 0 {
		if u.err != nil {
			return 0, u.err
		}
		u.fill()
	}
	n := copy(p, u.out)
	u.out = u.out[n:]
	return n, nil
}

// fill decodes up to 4 KiB.
func (u *utf16Reader) fill() {
	n, err := io.ReadFull(u.in, u.units[:])
	if u.err = err; err == io.ErrUnexpectedEOF {
		u.err = io.EOF // perhaps after half a character: the input is cut
	}
	u.out = u.room[:0]
	for i := 0; i+1 < n; i += 2 {
		u.unit(rune(u.order.Uint16(u.units[i:])))
	}
	u.room = u.out
}

func (u *utf16Reader) unit(r rune) {
	switch {
	case u.high != 0:
		pair := utf16.DecodeRune(u.high, r)
		u.high = 0
		u.out = utf8.AppendRune(u.out, pair)
	case r >= 0xd800 && r < 0xdc00:
		u.high = r
	case r != 0:
		u.out = utf8.AppendRune(u.out, r)
	}
}
