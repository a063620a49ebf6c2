package main

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServiceAnswersUnderLoad(t *testing.T) {
	s, err := startService(t.Context(), false)
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.stop()) }()
	base := "http://" + s.listener.Addr().String()

	for _, test := range []struct{ method, path, body string }{
		{http.MethodPost, "/order", `^\d+\.\d\d\n$`},
		{http.MethodGet, "/stock", `^[1-9]\d*\n$`},
		{http.MethodGet, "/warehouse", `^how many\?\n$`},
	} {
		status, body := request(t, s, test.method, base+test.path)
		assert.Equal(t, http.StatusOK, status, test.path)
		assert.Regexp(t, test.body, body)
	}
	status, _ := request(t, s, http.MethodPost, base+"/transfer")
	assert.Equal(t, http.StatusNotFound, status, "without faults, there is nothing that could deadlock")
	assert.GreaterOrEqual(t, s.requests.Load(), int64(4))
}

func request(t *testing.T, s *service, method, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	require.NoError(t, err)
	res, err := s.client.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func TestPoolServesMoreCallersThanItHasConnections(t *testing.T) {
	pool, err := startWarehouse()
	require.NoError(t, err)
	var callers sync.WaitGroup
	for range 5 * poolSize {
		callers.Go(func() {
			answer, err := pool.ask(t.Context(), "hello\n")
			assert.NoError(t, err)
			assert.Equal(t, "hello\n", answer)
		})
	}
	callers.Wait()
	assert.Len(t, pool.idle, poolSize)
	require.NoError(t, pool.close())
}

func TestPoolReplacesABrokenConnection(t *testing.T) {
	pool, err := startWarehouse()
	require.NoError(t, err)
	defer func() { assert.NoError(t, pool.close()) }()
	broken, other := net.Pipe()
	require.NoError(t, broken.Close())
	require.NoError(t, other.Close())
	<-pool.idle
	pool.idle <- broken // the last in the queue

	failed := 0
	for range 2 * poolSize {
		if _, err := pool.ask(t.Context(), "hello\n"); err != nil {
			failed++
		}
	}
	assert.Equal(t, 1, failed)
}

func TestTidesComeAndGo(t *testing.T) {
	assert.Zero(t, onTide(0))
	highest, falls := 0, 0
	for m := time.Duration(0); m <= 24*time.Minute; m += 15 * time.Second {
		now, next := onTide(m), onTide(m+15*time.Second)
		highest = max(highest, now)
		if next < now {
			falls++
		}
	}
	assert.InDelta(t, mostOnTide, highest, 2)
	assert.Greater(t, falls, 30, "waves go down as well as up")
	assert.Zero(t, onTide(24*time.Minute))
}
