package telemetry

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"
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
	for _, e := range eventCatalog {
		for _, a := range e.Attributes {
			used[a] = true
		}
	}
	for a := range used {
		assert.Equal(t, 1, described[a], a)
	}
	assert.Len(t, described, len(used), "an attribute is described that nothing has")
}

func TestNamesStayInTheirNamespace(t *testing.T) {
	for _, m := range metricCatalog {
		assert.True(t, strings.HasPrefix(m.Name, "goroutine."), "%s: go.* belongs to the runtime instrumentation of OpenTelemetry", m.Name)
	}
	for _, e := range eventCatalog {
		assert.True(t, strings.HasPrefix(e.Name, eventPrefix), e.Name)
	}
}

func TestCodeAttributesAreTheSemanticConventions(t *testing.T) {
	assert.EqualValues(t, semconv.CodeFunctionNameKey, AttrCodeFunctionName)
	assert.EqualValues(t, semconv.CodeFilePathKey, AttrCodeFilePath)
	assert.EqualValues(t, semconv.CodeLineNumberKey, AttrCodeLineNumber)
	assert.EqualValues(t, semconv.CodeStacktraceKey, AttrCodeStacktrace)
}
