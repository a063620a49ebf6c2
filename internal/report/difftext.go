// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"io"
	"time"
)

// Text writes d for people: which stacks appeared, grew, shrank or disappeared.
// The largest changes come first, at most top stacks of each kind; 0 means 20.
// It returns the first error of w.
func (d *Diff) Text(w io.Writer, top int) error { return d.Styled(w, top, nil) }

// Styled is [Diff.Text] in a style, which may be nil.
func (d *Diff) Styled(w io.Writer, top int, style Style) error {
	p := newPrinter(w, style)
	d.writeHead(p)
	for _, k := range []Kind{Appeared, Grew, Replaced, Shrank, Gone} {
		d.writeKind(p, k, cmp.Or(top, defaultTop))
	}
	if len(d.Stacks) == 0 {
		p.line(0, "\nNo stack changed.")
	}
	writeChanges(p, "States", d.States)
	writeChanges(p, "Categories", d.Categories)
	return p.w.Flush()
}

func (d *Diff) writeHead(p *printer) {
	p.line(2, "%d to %d goroutines (%+d) in %v", d.Before.Total, d.After.Total, d.After.Total-d.Before.Total,
		d.After.Time.Sub(d.Before.Time).Round(time.Second/10))
	d.Before.write(p, "before")
	d.After.write(p, "after")
	if d.Identity {
		p.line(2, "%d created since and still there, %d exited.", d.Born, d.Left)
	}
	d.Filter.write(p)
}

func (m *Moment) write(p *printer, name string) {
	target := ""
	if m.Target != "" {
		target = "  " + m.Target
	}
	p.line(10, "  %-6s  %s (%s)%s", name, m.Time.Format(time.RFC3339), m.Source, target)
}

func writeChanges(p *printer, title string, changes []Change) {
	if len(changes) == 0 {
		return
	}
	wide := 6
	for _, c := range changes {
		wide = max(wide, digits(c.Before), digits(c.After))
	}
	p.title("%s", title)
	p.line(0, "%s", p.paint(RoleAside, fmt.Sprintf("  %*s %*s", wide, "before", wide, "after")))
	for _, c := range changes {
		p.line(3*wide+8, "  %*d %*d %s  %s", wide, c.Before, wide, c.After, p.delta(wide+1, c.After-c.Before), c.Name)
	}
}

// delta formats a change with a sign, right-justified.
func (p *printer) delta(wide, n int) string {
	text := fmt.Sprintf("%+*d", wide, n)
	switch {
	case n > 0:
		return p.paint(RoleMore, text)
	case n < 0:
		return p.paint(RoleLess, text)
	}
	return text
}

func (d *Diff) writeKind(p *printer, k Kind, top int) {
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
	p.title("%s (%d of %d stacks)", titles[k], len(shown), len(of))
	for _, c := range shown {
		p.line(0, "")
		p.line(8, "  %s  %d to %d  %s%s", p.delta(5, c.Delta), c.Before, c.After, c.Stack.describe(p), d.identity(c))
		e := entriesOf([]Stack{c.Stack})[0]
		if e.Count = c.After; k == Gone {
			e.Count = c.Before
		}
		e.write(p, d.unfold)
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
