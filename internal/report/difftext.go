package report

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"time"
)

// Text writes d for people: which stacks appeared, grew, shrank and are gone,
// the largest changes first, at most top stacks of each kind; 0 stands for 20.
// It returns the first error of w.
func (d *Diff) Text(w io.Writer, top int) error {
	b := bufio.NewWriter(w)
	d.writeHead(b)
	writeChanges(b, "States", d.States)
	writeChanges(b, "Categories", d.Categories)
	for _, k := range []Kind{Appeared, Grew, Replaced, Shrank, Gone} {
		d.writeKind(b, k, cmp.Or(top, defaultTop))
	}
	if len(d.Stacks) == 0 {
		fmt.Fprintln(b, "\nNo stack changed.")
	}
	return b.Flush()
}

func (d *Diff) writeHead(w io.Writer) {
	fmt.Fprintf(w, "%d to %d goroutines (%+d) in %v\n", d.Before.Total, d.After.Total, d.After.Total-d.Before.Total,
		d.After.Time.Sub(d.Before.Time).Round(time.Second/10))
	d.Before.write(w, "before")
	d.After.write(w, "after")
	if d.Identity {
		fmt.Fprintf(w, "%d created since and still there, %d exited.\n", d.Born, d.Left)
	}
}

func (m *Moment) write(w io.Writer, name string) {
	fmt.Fprintf(w, "  %-6s  %s (%s)", name, m.Time.Format(time.RFC3339), m.Source)
	if m.Target != "" {
		fmt.Fprintf(w, "  %s", m.Target)
	}
	fmt.Fprintln(w)
}

func writeChanges(w io.Writer, title string, changes []Change) {
	fmt.Fprintf(w, "\n%s\n%9s %9s %9s\n", title, "before", "after", "")
	for _, c := range changes {
		fmt.Fprintf(w, "%9d %9d %+9d  %s\n", c.Before, c.After, c.After-c.Before, c.Name)
	}
}

func (d *Diff) writeKind(w io.Writer, k Kind, top int) {
	var of []*StackChange
	for i := range d.Stacks {
		if d.Stacks[i].Kind == k {
			of = append(of, &d.Stacks[i])
		}
	}
	if len(of) == 0 {
		return
	}
	shown := of[:min(len(of), top)]
	fmt.Fprintf(w, "\n%s (%d of %d stacks)\n", titles[k], len(shown), len(of))
	for _, c := range shown {
		fmt.Fprintf(w, "\n%+9d  %d to %d  %s%s\n", c.Delta, c.Before, c.After, c.Stack.describe(), d.identity(c))
		c.Stack.writeFrames(w)
	}
}

var titles = map[Kind]string{
	Appeared: "Appeared",
	Grew:     "Grew",
	Replaced: "Same number, other goroutines",
	Shrank:   "Shrank",
	Gone:     "Gone",
}

func (d *Diff) identity(c *StackChange) string {
	if !d.Identity {
		return ""
	}
	return fmt.Sprintf("  %d created since, %d exited or moved on", c.Born, c.Left)
}
