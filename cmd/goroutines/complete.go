// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/pipeline"
)

// formats are the values of --format by command.
var formats = map[string][]string{"report": reportFormats, "diff": diffFormats, "check": pipeline.Formats, "watch": watchFormats}

// complete adds completion of values to the flags of a command.
func complete(c *cobra.Command) {
	completeWords(c, "format", fixed(formats[c.Name()]...))
	completeWords(c, "endpoint", fixed(endpoints...))
	completeWords(c, "color", fixed(colors...))
	completeWords(c, "state", fixed(knownStates...))
	completeWords(c, "fail-on", failOnWords)
}
