package main

import (
	"errors"
	"io"

	"github.com/otelgoroutine/go/internal/report"
)

// errNoHTML is what writeHTML returns while no page is built in.
var errNoHTML = errors.New("--format html: not built in yet")

// writeHTML is where the page is plugged in: htmlreport.Write(w, r).
func writeHTML(io.Writer, *report.Report) error { return errNoHTML }
