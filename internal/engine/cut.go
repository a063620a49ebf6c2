// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// cutEvidence is added to findings about goroutines of which frames are missing.
const cutEvidence = "frames are missing, because the text of the dump is cut off or damaged there"

// doubt lowers findings about goroutines of which frames are missing: nothing that
// depends on a stack is more than suspected without the whole stack.
func doubt(s *goroutine.Snapshot, findings []detectors.Finding) {
	var cut map[*goroutine.Stack]bool
	for i := range s.Groups {
		if s.Groups[i].Cut {
			if cut == nil {
				cut = make(map[*goroutine.Stack]bool)
			}
			cut[s.Groups[i].Stack] = true
		}
	}
	if len(cut) == 0 {
		return
	}
	for i := range findings {
		f := &findings[i]
		concerned := cut[f.Stack]
		for _, p := range f.Participants {
			concerned = concerned || cut[p.Stack]
		}
		if !concerned {
			continue
		}
		f.Confidence = min(f.Confidence, detectors.Suspected)
		if len(f.Evidence) < detectors.MaxEvidence {
			f.Evidence = append(f.Evidence[:len(f.Evidence):len(f.Evidence)], cutEvidence)
		}
	}
}
