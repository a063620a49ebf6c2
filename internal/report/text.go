package report

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// textTrace is how many bytes of one stack are shown.
const textTrace = 8 << 10

// Text writes r for people: totals, findings, health, states and categories with
// percentages, the trend, functions and the largest stacks. It
// returns the first error of w.
func (r *Report) Text(w io.Writer) error {
	b := bufio.NewWriter(w)
	if !r.Taken {
		fmt.Fprintln(b, "No snapshot has been taken yet.")
		r.Sight.write(b)
		r.Sight.writeGaps(b)
		return b.Flush()
	}
	r.writeHead(b)
	writeFindings(b, r.Findings, r.Sight)
	r.Health.write(b)
	writeShares(b, "States", r.States)
	writeShares(b, "Categories", r.Categories)
	r.Trend.write(b)
	writeFunctions(b, "flat", r.Functions.Flat, r.Functions.Distinct)
	writeFunctions(b, "cumulative", r.Functions.Cumulative, r.Functions.Distinct)
	writeStacks(b, r.Stacks, r.stacks)
	return b.Flush()
}

// Top writes all functions in the manner of go tool pprof -top -cum.
func (r *Report) Top(w io.Writer) error {
	b := bufio.NewWriter(w)
	r.writeHead(b)
	all := FunctionsOf(r.Stacks, r.Total, math.MaxInt)
	writeFunctions(b, "cumulative", all.Cumulative, all.Distinct)
	return b.Flush()
}

// Traces writes all stacks in the manner of go tool pprof -traces.
func (r *Report) Traces(w io.Writer) error {
	b := bufio.NewWriter(w)
	r.writeHead(b)
	writeStacks(b, r.Stacks, len(r.Stacks))
	return b.Flush()
}

func (r *Report) writeHead(w io.Writer) {
	fmt.Fprintf(w, "%d goroutines at %s (%s", r.Total, r.Time.Format(time.RFC3339), r.Source)
	if r.Duration > 0 {
		fmt.Fprintf(w, ", took %v", span(r.Duration).Round(time.Microsecond))
	}
	fmt.Fprintln(w, ")")
	if r.Missing > 0 {
		fmt.Fprintf(w, "%d more could not be described.\n", r.Missing)
	}
}

// write writes only the checks that are over their thresholds.
func (h Health) write(w io.Writer) {
	over := h.Over()
	if len(over) == 0 {
		fmt.Fprintf(w, "\nHealth: all %d checks within their thresholds; faults are under Findings\n", len(h.Checks))
		return
	}
	fmt.Fprintf(w, "\nHealth: %d of %d checks over the threshold; faults are under Findings\n", len(over), len(h.Checks))
	for _, c := range over {
		fmt.Fprintf(w, "  %-4s  %s\n", c.Level, c.Message)
	}
}

func writeShares(w io.Writer, title string, shares []Share) {
	fmt.Fprintf(w, "\n%s\n", title)
	for _, s := range shares {
		fmt.Fprintf(w, "%9d  %5.1f%%  %s\n", s.Count, s.Percent, s.Name)
	}
}

func (t *Trend) write(w io.Writer) {
	if t == nil {
		return
	}
	fmt.Fprintf(w, "\nTrend over %d snapshots\n", len(t.Points))
	t.writeLine(w)
	for _, part := range []time.Duration{time.Hour, 10 * time.Minute} {
		t.lately(part).writeLine(w)
	}
}

func (t *Trend) writeLine(w io.Writer) {
	if t == nil {
		return
	}
	fmt.Fprintf(w, "  %d to %d in %v", t.From, t.To, span(t.Seconds).Round(time.Second/10))
	if t.From > 0 {
		fmt.Fprintf(w, ", factor %.2f", t.Factor)
	}
	fmt.Fprintf(w, ", %+.1f a minute", t.PerMinute)
	if t.Strong {
		fmt.Fprint(w, "  << strong growth")
	}
	fmt.Fprintln(w)
}

func writeFindings(w io.Writer, findings []Finding, s *Sight) {
	fmt.Fprintln(w, "\nFindings")
	s.write(w)
	if len(findings) == 0 {
		fmt.Fprintln(w, "  "+s.None())
	}
	for _, f := range findings {
		fmt.Fprintf(w, "  %s (%s): %s\n", f.Detector, f.Confidence, f.Message)
		if f.Unjudged != "" {
			fmt.Fprintf(w, "    Not judged now: %s.\n", f.Unjudged)
		}
		for k := range f.Participants {
			fmt.Fprintf(w, "    %s\n", &f.Participants[k])
		}
		f.writeOrigin(w)
		for _, e := range f.Evidence {
			fmt.Fprintf(w, "    - %s\n", e)
		}
		if f.Advice != "" {
			fmt.Fprintf(w, "    Next: %s\n", f.Advice)
		}
	}
	s.writeCandidates(w)
	s.writeGaps(w)
}

func writeFunctions(w io.Writer, by string, functions []Function, distinct int) {
	fmt.Fprintf(w, "\nFunctions, %s (%d of %d)\n", by, len(functions), distinct)
	fmt.Fprintf(w, "%9s  %6s %9s  %6s\n", "flat", "flat%", "cum", "cum%")
	for _, f := range functions {
		fmt.Fprintf(w, "%9d  %5.1f%% %9d  %5.1f%%  %s\n", f.Flat, f.FlatPercent, f.Cumulative, f.CumulativePercent, f.Name)
	}
}

func writeStacks(w io.Writer, stacks []Stack, top int) {
	shown := stacks[:min(len(stacks), top)]
	fmt.Fprintf(w, "\nStacks (%d of %d)\n", len(shown), len(stacks))
	for i := range shown {
		s := &shown[i]
		fmt.Fprintf(w, "\n%9d  %5.1f%%  %s\n", s.Count, s.Percent, s.describe())
		s.writeFrames(w)
	}
}

// describe returns a one-line description of a stack without its frames.
func (s *Stack) describe() string {
	var b strings.Builder
	b.WriteString(s.State + "  " + s.ID)
	if s.Oldest >= 1 {
		fmt.Fprintf(&b, "  oldest at least %v", span(s.Oldest).Round(time.Second))
	}
	if s.Waiting > 0 {
		fmt.Fprintf(&b, "  waiting %v", span(s.Waiting))
	}
	if s.Lock != "" {
		fmt.Fprintf(&b, "  lock %s", s.Lock)
	}
	for _, l := range s.Labels {
		if l.Value == "" {
			fmt.Fprintf(&b, "  %s=…", l.Key)
		} else {
			fmt.Fprintf(&b, "  %s=%q", l.Key, l.Value)
		}
	}
	return b.String()
}

// writeFrames writes the stack in the format of a goroutine dump, with two
// lines for each frame.
func (s *Stack) writeFrames(w io.Writer) {
	left := textTrace
	for _, f := range s.Frames {
		text := f.text()
		if left -= len(text); left < 0 {
			fmt.Fprintln(w, "           ...")
			break
		}
		fmt.Fprint(w, text)
	}
	if s.CreatedBy != nil {
		fmt.Fprintf(w, "           created by %s\n", s.CreatedBy)
	}
}

func (f *Frame) text() string {
	text := "           " + f.Function + "(...)\n"
	if f.File != "" {
		text += fmt.Sprintf("           \t%s:%d\n", f.File, f.Line)
	}
	return text
}

func span(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }
