// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		h := NewHealth(func(s State) { told = append(told, fmt.Sprint(s.Signal, " ", s.Err, " ", s.After, " ", s.Lost)) })
		h.result(Metrics, 1, nil, 0)
		assert.Empty(t, told)
		require.NoError(t, h.Err())
		no := errors.New("no")
		for range 10 {
			for exporter := range 3 {
				h.result(Metrics, exporter, no, 0)
			}
			h.result(Events, 1, no, 2)
			time.Sleep(time.Second)
		}
		assert.Equal(t, []string{"metrics no 0s 0", "events no 0s 0"}, told)
		require.EqualError(t, h.Err(), "metrics are not sent: no")
		told = nil
		h.result(Metrics, 0, nil, 0)
		h.result(Metrics, 1, nil, 0)
		assert.Empty(t, told, "one still fails")
		h.result(Metrics, 2, nil, 0)
		assert.Equal(t, []string{"metrics <nil> 10s 0"}, told)
		require.EqualError(t, h.Err(), "events are not sent: no")
		h.result(Events, 1, nil, 7)
		assert.Equal(t, "events <nil> 10s 20", told[1], "lost")
		h.result(Events, 1, no, 1)
		assert.Equal(t, "events no 0s 0", told[2], "it begins anew")
		h.Quiet()
		h.result(Events, 1, nil, 0)
		assert.Len(t, told, 3)
	})
}

// The SDK hears of no error, which it would print at every interval; Shutdown returns it.
func TestFailuresAreNotPrinted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	var told []State
	c := config("http://"+l.Addr().String(), "http/protobuf")
	c.Health = NewHealth(func(s State) { told = append(told, s) })
	err = send(t, c)
	require.ErrorContains(t, err, "are not sent: ")
	assert.NotEmpty(t, told)
}
