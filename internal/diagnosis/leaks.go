// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

// leaks returns what the runtime's leak proof says: the marks "(leaked)" in a dump, or
// all goroutines of a profile of leaked ones.
func (d *dump) leaks(details *parse.Details) (all []detectors.Finding) {
	for i := range d.Groups {
		g := &d.Groups[i]
		n := 0
		switch {
		case d.Source == goroutine.SourceProof:
			n = g.Count
		case details != nil:
			n = min(details.Leaked[g.Key()], g.Count)
			details.Leaked[g.Key()] -= n // groups may share a key
		}
		if n == 0 || len(all) == maxFindings || d.known(g.Stack) {
			continue
		}
		f := detectors.Finding{
			Detector: nameLeak, Confidence: detectors.Confirmed, Stack: g.Stack, State: g.State, Count: n, Age: g.Wait,
			CreatedBy: g.CreatedBy, Advice: detectors.Explain(g.Stack, g.State).Advice,
		}
		if n == g.Count {
			f.IDs = g.IDs
		}
		if g.Cut {
			f.Confidence = detectors.Suspected
			note(&f, "Their text is cut off or damaged in the dump.")
		}
		f.Message = fmt.Sprintf("%s at %s (%s) %s leaked: the runtime proved that nothing that can run refers to what %s for.",
			goroutines(n), where(g.Stack), g.State, words.Verb(n, "is", "are"), words.Verb(n, "it waits", "they wait"))
		if g.CreatedBy.Function != "" {
			note(&f, "%s created by %s.", words.Verb(n, "It was", "They were"), frameAt(g.CreatedBy))
		}
		if g.Wait > 0 {
			note(&f, "The longest wait is %s.", words.Span(g.Wait))
		}
		all = append(all, f)
	}
	return all
}
