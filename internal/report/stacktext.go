// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// textTrace is how many bytes of one stack are shown.
const textTrace = 8 << 10

// writeStacks writes the stacks with the most goroutines, and those of the findings that
// are not among them.
func (r *Report) writeStacks(p *printer) {
	entries := entriesOf(r.Stacks)
	shown := entries[:min(len(entries), r.stacks)]
	p.title("Stacks (%d of %d)", len(shown), len(entries))
	p.writeEntries(shown, r.unfold)
	if found := r.found(entries[len(shown):]); len(found) > 0 {
		p.title("Stacks of the findings that are not among these (%d)", len(found))
		p.writeEntries(found, r.unfold)
	}
}

// maxFound is how many stacks of findings are shown beside those with the most
// goroutines.
const maxFound = 20

// found returns the entries that findings are about.
func (r *Report) found(entries []*entry) (found []*entry) {
	type place struct{ stack, state string }
	places := make(map[place]bool)
	for i := range r.Findings {
		f := &r.Findings[i]
		places[place{f.StackID, f.State}] = true
		for k := range f.Participants {
			places[place{f.Participants[k].StackID, f.Participants[k].State}] = true
		}
	}
	for _, e := range entries {
		if places[place{e.ID, e.State}] && len(found) < maxFound {
			found = append(found, e)
		}
	}
	return found
}

func (p *printer) writeEntries(entries []*entry, unfold bool) {
	wide := 4
	if len(entries) > 0 {
		wide = digits(entries[0].Count)
	}
	for _, e := range entries {
		p.line(0, "")
		p.line(8, "  %s  %5.1f%%  %s", p.paint(RoleTitle, fmt.Sprintf("%*d", wide, e.Count)), e.Percent, e.describe(p))
		e.write(p, unfold)
	}
}

// standard reports whether a frame belongs to the standard library, also if the report is
// terse.
func (f *Frame) standard() bool {
	return f.Standard || goroutine.Frame{Function: f.Function}.Standard()
}

// userFrame returns the index of the frame that names the place, as of
// [goroutine.Stack.User]: the innermost one outside the standard library, or else the
// entry function. It is -1 if there are no frames.
func userFrame(frames []Frame) int {
	if i := slices.IndexFunc(frames, func(f Frame) bool { return !f.standard() }); i >= 0 {
		return i
	}
	return entryFrame(frames)
}

// entryFrame returns the index of the function that the go statement called, or -1 if
// there are no frames.
func entryFrame(frames []Frame) int {
	last := len(frames) - 1
	if last > 0 && frames[last].Function == "runtime.goexit" { // is below every goroutine
		last--
	}
	return last
}

// writeFrames writes the frames of a stack, innermost first. Unless they are to be
// unfolded, it begins with the code of the user, and frames of the standard library share
// a line.
func (s *Stack) writeFrames(p *printer, unfold bool) {
	left, frames := textTrace, s.Frames
	user := userFrame(frames)
	if unfold {
		user = 0
	}
	for i := max(0, user); i < len(frames); {
		end := i + 1
		if !unfold && i > user && frames[i].standard() {
			end = runOf(frames, i)
		}
		text := p.frame(&frames[i])
		if end > i+1 {
			text = p.paint(RoleAside, "+"+countFrames(frames[i:end]))
		}
		if left -= len(text); left < 0 {
			p.line(8, "      ...")
			break
		}
		p.line(8, "      %s", text)
		if i == user && i > 0 {
			p.line(10, "        %s", p.paint(RoleAside, calls(frames[:i])))
		}
		i = end
	}
}

// runOf returns the end of the frames of the standard library that begin at i.
func runOf(frames []Frame, i int) int {
	for i < len(frames) && frames[i].standard() {
		i++
	}
	return i
}

// calls says what the code of the user has called: the first of these frames that were
// called last first.
func calls(inner []Frame) string {
	text := "calls " + inner[len(inner)-1].Function
	if more := inner[:len(inner)-1]; len(more) > 0 {
		text += ", +" + countFrames(more)
	}
	return text
}

// maxPackages is how many packages of folded frames are named.
const maxPackages = 3

// countFrames counts frames and names their packages, the outermost first.
func countFrames(frames []Frame) string {
	var packages []string
	for _, f := range slices.Backward(frames) {
		name := goroutine.Frame{Function: f.Function}.Package()
		if !slices.Contains(packages, name) {
			packages = append(packages, name)
		}
	}
	more := ""
	if n := len(packages) - maxPackages; n > 0 {
		packages, more = packages[:maxPackages], " and "+words.Plural(n, "more package")
	}
	return words.Plural(len(frames), "frame") + " of " + strings.Join(packages, ", ") + more
}
