package capture

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/parse"
)

func TestABufferIsCapped(t *testing.T) {
	var b cappedBuffer
	b.data = make([]byte, maxTrace-10)
	_, err := b.Write(make([]byte, 10))
	require.NoError(t, err)
	_, err = b.Write([]byte{1})
	assert.ErrorContains(t, err, "over 256 MiB")
	assert.Len(t, b.data, maxTrace)
	b.release(keepTrace)
	assert.Zero(t, cap(b.data), "a large buffer is given back")

	_, err = b.Write(make([]byte, 100))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, cap(b.data), maxTrace, "the next one is made as large as the last turned out")
	b.data = make([]byte, 0, 200)
	_, err = b.Write(make([]byte, 100))
	require.NoError(t, err)
	b.release(keepTrace)
	assert.Empty(t, b.data)
	assert.Positive(t, cap(b.data), "a small one is kept")
}

func TestARecordingThatCannotBeWrittenIsTooLarge(t *testing.T) {
	err := record(failing{})
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	assert.Equal(t, ReasonSize, refusal.Reason)
	require.NoError(t, record(io.Discard), "and the slot is free again")
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestATraceThatIsTooLargeIsNotTriedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newTraceSource(parse.NewStacks())
		source.restAfter(&Refusal{Reason: ReasonSize, Err: errors.New("full")})
		_, err := source.take()
		var refusal *Refusal
		require.ErrorAs(t, err, &refusal)
		assert.Equal(t, ReasonSize, refusal.Reason)
		assert.False(t, refusal.waits(), "the profile takes over meanwhile")
		time.Sleep(largeTraceRest)
		assert.LessOrEqual(t, time.Until(source.rest), time.Duration(0))
	})
	source := newTraceSource(parse.NewStacks())
	source.restAfter(&Refusal{Reason: ReasonBusy, Err: errors.New("taken")})
	_, err := source.take()
	require.NoError(t, err, "other refusals are no reason to rest")
}
