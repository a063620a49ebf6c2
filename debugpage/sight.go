// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// sightOf describes what the findings of a monitor cover now.
func sightOf(m *otelgoroutine.Monitor) *report.Sight {
	now := m.Status()
	s := sight.Status{Time: now.Time, Source: now.Source, Age: now.Age, Detectors: now.Detectors}
	for _, k := range now.Skips {
		s.Skips = append(s.Skips, sight.Skip(k))
	}
	return report.SightOf(s)
}
