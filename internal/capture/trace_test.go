// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"errors"
	"io"
	"runtime/trace"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestABufferIsCapped(t *testing.T) {
	var b cappedBuffer
	b.data = make([]byte, maxTrace-10)
	_, err := b.Write(make([]byte, 10))
	require.NoError(t, err)
	_, err = b.Write([]byte{1})
	assert.ErrorContains(t, err, "over 256 MiB")
	assert.Equal(t, ReasonSize, reasonOf(t, err))
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

func TestARecordingThatCannotBeWrittenFreesItsSlot(t *testing.T) {
	assert.ErrorIs(t, record(failing{}), errFull)
	assert.NoError(t, record(io.Discard))
	assert.False(t, trace.IsEnabled())
}

var errFull = errors.New("full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func reasonOf(t *testing.T, err error) Reason {
	t.Helper()
	var refusal *Refusal
	require.ErrorAs(t, err, &refusal)
	return refusal.Reason
}
