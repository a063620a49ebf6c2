// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

// Severity says how much attention a finding deserves. Its values are the
// severity texts of OpenTelemetry log records, in lower case.
type Severity string

// The severities, weakest first.
const (
	SeverityInfo  Severity = "info"
	SeverityWarn  Severity = "warn"
	SeverityError Severity = "error"
)

// Severity returns the severity of a finding of this confidence: info for
// [Info], warn up to [Suspected], error above. Events, reports, pages and
// terminals all use this mapping.
func (c Confidence) Severity() Severity {
	switch {
	case c <= Info:
		return SeverityInfo
	case c <= Suspected:
		return SeverityWarn
	}
	return SeverityError
}
