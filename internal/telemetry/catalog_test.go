// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelgoroutine/go/detectors"
)

var update = flag.Bool("update", false, "write TELEMETRY.md anew")

const telemetryFile = "../../TELEMETRY.md"

func TestCatalogIsWhatTELEMETRYmdSays(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile(telemetryFile, []byte(Markdown()), 0o644))
	}
	want, err := os.ReadFile(telemetryFile)
	require.NoError(t, err)
	assert.Equal(t, string(want), Markdown(), "run: go test ./internal/telemetry -update")
}

func TestEveryAttributeIsDescribedOnce(t *testing.T) {
	described := make(map[string]int)
	for _, a := range attributeCatalog {
		described[a.Name]++
	}
	used := make(map[string]bool)
	for _, m := range metricCatalog {
		for _, a := range m.Attributes {
			used[a] = true
		}
	}
	for _, e := range eventCatalog() {
		for _, a := range e.Attributes {
			used[a] = true
		}
	}
	for a := range used {
		assert.Equal(t, 1, described[a], a)
	}
	for _, a := range profileAttributes {
		used[a] = true
	}
	assert.Len(t, described, len(used), "an attribute is described that nothing has")
}

// names returns every name of the catalog in the form in which it is sent.
func names() (metrics, attributes, events []string) {
	for _, m := range metricCatalog {
		metrics = append(metrics, m.Name)
	}
	for _, a := range attributeCatalog {
		attributes = append(attributes, strings.Replace(a.Name, "<key>", "key", 1))
	}
	for _, e := range eventCatalog() {
		events = append(events, e.Name)
	}
	return metrics, attributes, events
}

// wellFormed matches what the tooling of the semantic conventions accepts:
// lower case, dots between namespaces, underscores between words.
var wellFormed = regexp.MustCompile(`^[a-z][a-z0-9]*([._][a-z0-9]+)*$`)

func TestNamesFollowTheRulesOfOpenTelemetry(t *testing.T) {
	metrics, attributes, events := names()
	all := slices.Concat(metrics, attributes, events)
	for _, name := range all {
		assert.Regexp(t, wellFormed, name)
		if !strings.HasPrefix(name, "code.") {
			assert.True(t, strings.HasPrefix(name, "goroutine."), "%s: go.* belongs to the runtime instrumentation of OpenTelemetry", name)
		}
		for _, other := range all {
			assert.False(t, strings.HasPrefix(other, name+"."), "%s is a name and the namespace of %s", name, other)
		}
	}
	for _, kind := range [][]string{metrics, attributes, events} {
		assert.Len(t, slices.Compact(slices.Sorted(slices.Values(kind))), len(kind), "two of a kind share a name")
	}
}

// Without event names of its own, a built-in detector would be sent under the
// names of user-defined detectors.
func TestEveryBuiltInDetectorHasItsEvents(t *testing.T) {
	var have, want []string
	for _, d := range builtIn {
		have = append(have, d.detector)
		assert.Equal(t, eventNames{"goroutine." + d.detector + ".detected", "goroutine." + d.detector + ".resolved"}, d.events)
	}
	for _, d := range detectors.Default() {
		want = append(want, d.Name)
	}
	assert.Equal(t, want, have)
}

func TestCodeAttributesAreTheSemanticConventions(t *testing.T) {
	assert.Equal(t, semconv.SchemaURL, SchemaURL)
	assert.EqualValues(t, semconv.CodeFunctionNameKey, AttrCodeFunctionName)
	assert.EqualValues(t, semconv.CodeFilePathKey, AttrCodeFilePath)
	assert.EqualValues(t, semconv.CodeLineNumberKey, AttrCodeLineNumber)
	assert.EqualValues(t, semconv.CodeStacktraceKey, AttrCodeStacktrace)
}
