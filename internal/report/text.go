// Package report turns a snapshot and its findings into something to read.
//
// Nothing that could hold personal data is shown: stacks carry no arguments,
// and label values are left out.
package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	textStacks = 20      // stacks shown in full
	textTrace  = 8 << 10 // bytes of one stack
)

// Text writes a report of s and the open findings: totals, states with
// percentages, findings, and the largest stacks. It returns the first error of
// w. A nil snapshot is reported as one not taken yet.
func Text(w io.Writer, s *goroutine.Snapshot, findings []detectors.Finding) error {
	b := bufio.NewWriter(w)
	if s == nil {
		fmt.Fprintln(b, "No snapshot has been taken yet.")
		return b.Flush()
	}
	writeHead(b, s)
	writeStates(b, s)
	writeFindings(b, findings)
	writeStacks(b, s)
	return b.Flush()
}

func writeHead(w io.Writer, s *goroutine.Snapshot) {
	fmt.Fprintf(w, "%d goroutines at %s", s.Total, s.Time.Format(time.RFC3339))
	fmt.Fprintf(w, " (%s", s.Source)
	if s.Duration > 0 {
		fmt.Fprintf(w, ", took %v", s.Duration.Round(time.Microsecond))
	}
	fmt.Fprintln(w, ")")
	if s.Missing > 0 {
		fmt.Fprintf(w, "%d more could not be described.\n", s.Missing)
	}
}

func writeStates(w io.Writer, s *goroutine.Snapshot) {
	states := s.States()
	order := make([]goroutine.State, 0, len(states))
	for state := range states {
		order = append(order, state)
	}
	slices.SortFunc(order, func(a, b goroutine.State) int {
		return cmp.Or(cmp.Compare(states[b], states[a]), cmp.Compare(a, b))
	})
	fmt.Fprintln(w, "\nStates")
	for _, state := range order {
		fmt.Fprintf(w, "%9d  %5.1f%%  %s\n", states[state], percent(states[state], s.Total), state)
	}
}

func percent(part, whole int) float64 {
	return 100 * float64(part) / float64(max(whole, 1))
}

func writeFindings(w io.Writer, findings []detectors.Finding) {
	fmt.Fprintln(w, "\nFindings")
	if len(findings) == 0 {
		fmt.Fprintln(w, "  none")
	}
	for _, f := range findings {
		fmt.Fprintf(w, "  %s (%s): %s\n", f.Detector, f.Confidence, f.Message)
		for _, e := range f.Evidence {
			fmt.Fprintf(w, "    - %s\n", e)
		}
	}
}

func writeStacks(w io.Writer, s *goroutine.Snapshot) {
	shown := s.Groups[:min(len(s.Groups), textStacks)]
	fmt.Fprintf(w, "\nStacks (%d of %d)\n", len(shown), len(s.Groups))
	for i := range shown {
		g := &shown[i]
		fmt.Fprintf(w, "\n%9d  %5.1f%%  %s  %s%s\n", g.Count, percent(g.Count, s.Total), g.State, g.Stack.ID, age(s, g))
		for line := range strings.Lines(g.Stack.Text(textTrace)) {
			fmt.Fprintf(w, "           %s", line)
		}
	}
}

// age tells how old the oldest goroutine of g is, where that is known.
func age(s *goroutine.Snapshot, g *goroutine.Group) string {
	if born, ok := s.Oldest(g); ok {
		return fmt.Sprintf("  oldest at least %v", s.Time.Sub(born).Round(time.Second))
	}
	if g.Wait > 0 {
		return fmt.Sprintf("  waiting %v", g.Wait)
	}
	return ""
}
