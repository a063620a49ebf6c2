// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// LabelledText reads a goroutine dump as [Text] does, and beside it the selected
// labels of single goroutines, into [goroutine.Snapshot.Labelled]. A dump shows
// labels if the program's go.mod says go 1.27 or newer, or with
// GODEBUG=tracebacklabels=1.
func LabelledText(r io.Reader, at time.Time, stacks *Stacks, labels Labels) (*goroutine.Snapshot, error) {
	stacks.next()
	t := newDump(r)
	t.stacks, t.snapshot.Time, t.labelling = stacks, at, &labelling{selected: labels}
	t.readAll()
	return t.finish()
}

// A labelling collects the labels of single goroutines. A nil one does nothing.
type labelling struct {
	selected Labels
	current  []goroutine.Label // of the goroutine that is being read
	shown    bool              // a goroutine of the dump had a label, selected or not
	more     bool              // there were too many goroutines with labels
	all      []goroutine.Labelled
}

// header takes the header of a goroutine.
func (l *labelling) header(line []byte) {
	if l == nil {
		return
	}
	labels := labelsIn(line)
	l.shown = l.shown || len(labels) > 0
	l.current = l.selected.choose(labels)
}

// add keeps the labels of the goroutine that was read, which is in this group.
func (l *labelling) add(id uint64, g *goroutine.Group) {
	if l == nil || len(l.current) == 0 {
		return
	}
	if l.more = l.more || len(l.all) >= goroutine.MaxLabelled; !l.more {
		l.all = append(l.all, goroutine.Labelled{ID: id, Stack: g.Stack, State: g.State, Labels: l.current})
	}
}

// finish returns the goroutines with labels, lowest ID first. It is nil if the dump
// shows no labels, or too many to say which goroutines have none.
func (l *labelling) finish() []goroutine.Labelled {
	if l == nil || !l.shown || l.more {
		return nil
	}
	slices.SortFunc(l.all, func(a, b goroutine.Labelled) int { return cmp.Compare(a.ID, b.ID) })
	if l.all == nil {
		return []goroutine.Labelled{}
	}
	return l.all
}

// maxHeaderLabels is how many labels of a header are read.
const maxHeaderLabels = 256

// labelsIn returns the labels in a header. Go 1.26 writes
//
//	goroutine N [state, labels:{"key": "value", "key": "value"}]:
//
// and Go 1.27 writes, with quotes only where they are needed,
//
//	goroutine N [state] {key: value, "a key": "a value"}:
//
// No other part of a header has a brace. If the header is cut or damaged, the labels
// before that are returned.
func labelsIn(line []byte) (labels []goroutine.Label) {
	begin := bytes.IndexByte(line, '{')
	if begin < 0 {
		return nil
	}
	for rest, more := line[begin+1:], true; more && len(labels) < maxHeaderLabels; {
		key, after, end := cutToken(rest)
		if end != ':' {
			break
		}
		value, after, end := cutToken(after)
		if end != ',' && end != '}' {
			break
		}
		labels = append(labels, goroutine.Label{Key: key, Value: value})
		rest, more = after, end == ','
	}
	return labels
}

// cutToken cuts a key or a value, quoted or not, from the beginning of b, and what ends
// it: a colon, a comma or a closing brace, with the space that follows. end is 0 if
// there is none.
func cutToken(b []byte) (token string, rest []byte, end byte) {
	n := bytes.IndexAny(b, ":,}")
	quoted := len(b) > 0 && b[0] == '"'
	if quoted {
		n = endOfQuotes(b)
	}
	if n < 0 || n >= len(b) {
		return "", nil, 0
	}
	token, rest, end = string(b[:n]), bytes.TrimPrefix(b[n+1:], []byte(" ")), b[n]
	if quoted {
		var err error
		if token, err = strconv.Unquote(token); err != nil {
			return "", nil, 0
		}
	}
	return token, rest, end
}

// endOfQuotes returns the index after the quote that ends the string b begins with.
func endOfQuotes(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}
