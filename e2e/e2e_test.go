package e2e_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/otelgoroutine/go/e2e"
	"github.com/otelgoroutine/go/e2e/program"
)

func TestMain(m *testing.M) { e2e.Main(m) }

// assertTold checks the event about the fault of the programs.
func assertTold(t *testing.T, event plog.LogRecord) {
	t.Helper()
	assertSentence(t, event.Body().Str())
	raw := event.Attributes().AsRaw()
	assert.Equal(t, "deadlock", raw["goroutine.detector.name"])
	assert.NotEmpty(t, raw["code.stacktrace"])
}

// assertSentence checks what people are told about the fault: what and where.
func assertSentence(t *testing.T, text string) {
	t.Helper()
	assert.Contains(t, text, program.Sentence)
	assert.Regexp(t, program.Place, text)
}

func TestTheSDKWithLogsOverOTLP(t *testing.T) {
	t.Parallel()
	receiver := e2e.Receive(t)
	p := e2e.Start(t, "otlp", receiver.Environment()...)
	assertTold(t, receiver.AwaitEvent(p, program.Event))
	assert.Contains(t, receiver.MetricNames(), "goroutine.count")
	assert.Equal(t, "e2e", receiver.Resource()["service.name"])
	assert.NotContains(t, p.Stderr(), program.Sentence, "what arrives over OTLP is not told elsewhere as well")
}
