// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import "bytes"

// formSeen is what the goroutines of a dump have in common, to recognize one of which
// the end is lost.
type formSeen struct {
	created  bool // a goroutine has a creator
	orphaned bool // a goroutine other than the main one has none
	offset   bool // something follows the number of a place
	bare     bool // the current line is a place after which nothing follows
}

// place takes a place.
func (f *formSeen) place(line, file, number []byte) {
	f.bare = len(line) == len(file)+len(":")+len(number)
	f.offset = f.offset || !f.bare
}

// end takes a goroutine that has ended.
func (f *formSeen) end(g *current) {
	f.created = f.created || g.createdAt > 0
	f.orphaned = f.orphaned || g.createdAt == 0 && g.header.id > mainGoroutine
}

// These are said of a goroutine at which the input ends.
const (
	endsInPlace       = "its text ends within a place"
	endsBeforeCreator = "its text ends before its creator, which all others have"
)

// tear looks for a goroutine that the end of the input has cut. partial says that the
// last line has no end.
func (t *dump) tear(partial bool) {
	g := &t.g
	switch {
	case g.phase == outside || g.fault != "" || g.torn:
	case partial && (g.open == foreignCall || g.phase == inCreation && bytes.HasPrefix(t.line, createdStart)):
		g.torn = true
	case partial && t.form.bare && t.form.offset && g.calls < maxFrames:
		t.key = append(t.key[:bytes.LastIndexByte(t.key, ':')], ":0\n"...)
		g.fault = endsInPlace
	case g.phase == inStack && g.open == noCall && g.calls > 0 && g.header.id > mainGoroutine && t.form.created && !t.form.orphaned && !t.entered():
		g.fault = endsBeforeCreator
	}
}

// entered reports whether the outermost frame is one where goroutines begin that have
// no creator.
func (t *dump) entered() bool {
	name := t.key[t.g.framesAt : len(t.key)-1]
	name = name[:max(0, bytes.LastIndexByte(name, '\n'))]
	name = name[bytes.LastIndexByte(name, '\n')+1:]
	return bytes.HasPrefix(name, []byte("runtime.")) || string(name) == "main.main"
}

// cutGoroutine keeps what is complete of a goroutine that cannot be described: the
// frames before the fault, and the function of a call or go statement without a place.
func (t *dump) cutGoroutine() {
	g := &t.g
	switch {
	case g.phase == inCreation && g.torn:
		t.key, g.createdAt = t.key[:g.createdAt], 0
	case g.phase == inCreation:
		t.key = append(t.key, ":0\n"...)
	case g.open == goCall && g.calls < maxFrames:
		t.key = append(t.key, ":0\n"...)
		g.calls++
	case g.open != noCall:
		t.key = t.key[:g.callAt]
	}
	t.problems.add("line %d: %s: %s; the %d frames before are kept", g.line, g.header, g.fault, g.calls)
	g.cut, g.fault = true, ""
}
