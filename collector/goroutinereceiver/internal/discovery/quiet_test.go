// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestTheSameIsLoggedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		log := newLogger(zap.New(core).Named("receiver"))
		said := func() int { return len(logs.TakeAll()) }
		a, b := log.With("config", "a"), log.With("config", "b")
		fail := func(port int) error { return fmt.Errorf("read 10.0.0.1:%d: refused", port) }

		a.Error("failed", "err", fail(1))
		assert.Equal(t, 1, said())
		a.Error("failed", "err", fail(2))
		assert.Equal(t, 0, said(), "another local port is the same failure")
		b.Error("failed", "err", fail(3))
		assert.Equal(t, 1, said(), "another job")
		a.Error("failed", "err", errors.New("not found"))
		assert.Equal(t, 1, said(), "another failure")
		a.Error("failed", "err", fail(1), "path", "2.yaml")
		a.Error("failed", "err", fail(1), "path", "1.yaml")
		assert.Equal(t, 2, said(), "other files")
		a.WithGroup("g").Error("failed", "err", fail(1))
		assert.Equal(t, 1, said(), "another group")
		a.Debug("try")
		a.Debug("try")
		assert.Equal(t, 2, said(), "debugging shows all")
		time.Sleep(repeatAfter)
		a.Error("failed", "err", fail(4))
		require.Equal(t, 1, logs.Len(), "it is still true")
		entry := logs.TakeAll()[0]
		assert.Equal(t, "a", entry.ContextMap()["config"])
		assert.Equal(t, "receiver", entry.LoggerName)
	})
}

func TestWhatIsRememberedOfTheLogIsBounded(t *testing.T) {
	var s said
	now := time.Unix(0, 0)
	for i := range 5 * maxSaid {
		assert.True(t, s.first(fmt.Sprint(i), now))
	}
	assert.LessOrEqual(t, len(s.when), maxSaid)
}
