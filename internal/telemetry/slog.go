// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"log/slog"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"

	"github.com/otelgoroutine/go/detectors"
)

// Limits of one record of log/slog, in bytes. Handlers write a record as one line, and
// what carries lines has limits of its own: 16 KiB in container runtimes. A stack of
// maxSlogTrace has some thirty frames.
const (
	maxSlogTrace    = 4 << 10
	maxSlogList     = 2 << 10 // all elements of a list
	maxSlogSentence = 512
)

// attrEventName is the name of the event, which a record of log/slog has no field for.
// The Collector's files give it to log records of OpenTelemetry, too.
const attrEventName = "event.name"

// notInSlog lists what a line for people can do without. The message ends with the
// advice, and the stacks of all participants would hide the rest.
var notInSlog = []string{AttrAdvice, AttrParticipantStackIDs, AttrParticipantStacktraces}

// SlogRecord returns an event as a record of log/slog: the body of the log record as its
// message, and the attributes under the same names, shorter where they are long. It has
// no PC, because no line of the program logged it.
func SlogRecord(e detectors.Event, saved Files) slog.Record {
	r := slog.NewRecord(e.Time, SlogLevel(e), oneLine(clip(bodyOf(e), maxBody)), 0)
	r.AddAttrs(slog.String(attrEventName, nameOf(e)))
	if e.Kind == detectors.Suppressed {
		r.AddAttrs(slog.Int(AttrSuppressedCount, e.Suppressed))
		return r
	}
	var last []slog.Attr
	for _, kv := range attributesOf(&e.Finding, saved) {
		switch {
		case slices.Contains(notInSlog, string(kv.Key)), kv.Key == AttrEvidence && len(e.Finding.Evidence) == 0:
		case kv.Key == AttrCodeStacktrace:
			last = append(last, slog.String(AttrCodeStacktrace, clip(e.Finding.Stack.Text(maxSlogTrace), maxSlogTrace)))
		default:
			r.AddAttrs(slogAttr(kv))
		}
	}
	r.AddAttrs(last...)
	return r
}

// SlogLevel returns the level of an event in log/slog.
func SlogLevel(e detectors.Event) slog.Level { return slogLevel(severityOf(e)) }

// slogLevel returns the level that stands for a severity: the two scales have the same
// steps.
func slogLevel(s log.Severity) slog.Level { return slog.Level(int(s) - int(log.SeverityInfo)) }

// Headline returns the first sentence of an event.
func Headline(e detectors.Event) string {
	switch {
	case e.Kind == detectors.Suppressed:
		return bodyOf(e)
	case e.Finding.Message == "":
		return nameOf(e)
	}
	return oneLine(clip(e.Finding.Message, maxSlogSentence))
}

func slogAttr(kv attribute.KeyValue) slog.Attr {
	key := string(kv.Key)
	switch kv.Value.Type() {
	case attribute.STRING:
		return slog.String(key, clip(kv.Value.AsString(), maxSlogSentence))
	case attribute.INT64:
		return slog.Int64(key, kv.Value.AsInt64())
	case attribute.FLOAT64:
		return slog.Float64(key, kv.Value.AsFloat64())
	case attribute.BOOL:
		return slog.Bool(key, kv.Value.AsBool())
	case attribute.STRINGSLICE:
		return slog.Any(key, slogList(kv.Value.AsStringSlice()))
	}
	return slog.Any(key, kv.Value.AsInterface())
}

// slogList limits a list of strings: each by itself, and all together by leaving out
// the last.
func slogList(list []string) []string {
	short, size := make([]string, 0, len(list)), 0
	for _, s := range list {
		s = clip(s, maxSlogSentence)
		if size += len(s); size > maxSlogList {
			return append(short, "…")
		}
		short = append(short, s)
	}
	return short
}

// oneLine keeps a message on one line: the handler that writes it may not.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		return r
	}, s)
}
