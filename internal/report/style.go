// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"fmt"
	"io"
)

// A Style adapts texts to a terminal. Without one, lines have any length and no colours,
// and files are shown with their whole paths.
type Style interface {
	// Paint returns a part of a line with the colour of its role.
	Paint(Role, string) string
	// Wrap breaks a line that is too long. The lines after the first one begin with so
	// many spaces.
	Wrap(line string, indent int) string
	// File returns what is shown of the path of a frame's file.
	File(path string) string
}

// A Role is what a part of a text is.
type Role int

// The roles.
const (
	RoleTitle   Role = iota // of a section
	RoleInfo                // a finding by its severity
	RoleWarning             // the same
	RoleError               // the same
	RoleState               // state of goroutines
	RoleTime                // age or wait
	RoleMore                // growth, or goroutines that are new
	RoleLess                // the reverse
	RoleAside               // what matters less
)

// severities has the role of each severity of a finding.
var severities = map[string]Role{"info": RoleInfo, "warn": RoleWarning, "error": RoleError}

// A printer writes lines in a style, which may be nil.
type printer struct {
	w     *bufio.Writer
	style Style
}

func newPrinter(w io.Writer, style Style) *printer { return &printer{bufio.NewWriter(w), style} }

// line writes a line. If it is wrapped, the lines after the first one begin with so many
// spaces.
func (p *printer) line(indent int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.style != nil {
		text = p.style.Wrap(text, indent)
	}
	p.w.WriteString(text)
	p.w.WriteByte('\n')
}

func (p *printer) title(format string, args ...any) {
	p.w.WriteByte('\n')
	p.line(0, "%s", p.paint(RoleTitle, fmt.Sprintf(format, args...)))
}

func (p *printer) paint(role Role, text string) string {
	if p.style == nil || text == "" {
		return text
	}
	return p.style.Paint(role, text)
}

// frame formats a frame as function, file and line.
func (p *printer) frame(f *Frame) string {
	if f.File == "" {
		return f.Function
	}
	file := f.File
	if p.style != nil {
		file = p.style.File(file)
	}
	return f.Function + p.paint(RoleAside, fmt.Sprintf(" (%s:%d)", file, f.Line))
}
