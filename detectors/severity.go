package detectors

// Severity says how much attention a finding deserves, in the words of the
// text that OpenTelemetry gives to a log record's severity, in lower case.
type Severity string

// The severities, weakest first.
const (
	SeverityInfo  Severity = "info"
	SeverityWarn  Severity = "warn"
	SeverityError Severity = "error"
)

// Severity returns the severity of a finding of this confidence: info for
// [Info], warn up to [Suspected], error above. It is the only such mapping:
// events, reports, pages and terminals all use it.
func (c Confidence) Severity() Severity {
	switch {
	case c <= Info:
		return SeverityInfo
	case c <= Suspected:
		return SeverityWarn
	}
	return SeverityError
}
