// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelconf

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/e2e"
	"github.com/otelgoroutine/go/e2e/program"
)

func TestMain(m *testing.M) { e2e.Main(m) }

// configuration is a file of OpenTelemetry's declarative configuration.
const configuration = `
file_format: "1.0"
resource:
  attributes:
    - {name: service.name, value: e2e}
meter_provider:
  readers:
    - periodic:
        interval: 200
        exporter: {otlp_grpc: {endpoint: "http://ADDR", tls: {insecure: true}}}
logger_provider:
  processors:
    - batch:
        schedule_delay: 100
        exporter: {otlp_grpc: {endpoint: "http://ADDR", tls: {insecure: true}}}
instrumentation/development:
  go:
    otelgoroutine:
      detectors: [deadlock, leak]
      top_stacks: 5
      budget_pause: ten
`

func TestDeclarativeConfiguration(t *testing.T) {
	receiver := e2e.Receive(t)
	file := filepath.Join(t.TempDir(), "otel.yaml")
	require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(configuration, "ADDR", receiver.Addr())), 0o600))
	p := e2e.Start(t, "otelconf", "OTEL_EXPERIMENTAL_CONFIG_FILE="+file)
	sentence := receiver.AwaitEvent(p, program.Event).Body().Str()
	assert.Contains(t, sentence, program.Sentence)
	assert.Regexp(t, program.Place, sentence)
	p.Await("the detectors' states over OTLP", func() bool { return len(receiver.Detectors()) > 0 })
	assert.Equal(t, map[string]bool{"deadlock": true, "leak": true}, receiver.Detectors(), "the node of the file is used")
	assert.Equal(t, "e2e", receiver.Resource()["service.name"])
	require.NoError(t, p.Stop())
	lines := e2e.Lines(p.Stderr(), "")
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], `setting budget_pause="ten" is ignored: it must be a duration`)
}
