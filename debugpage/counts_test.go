// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// eventsNamed returns the data of the events of a stream with a name.
func eventsNamed(name, stream string) (data []string) {
	for part := range strings.SplitSeq(stream, "\n\n") {
		if rest, ok := strings.CutPrefix(part, "event: "+name+"\ndata: "); ok {
			data = append(data, rest)
		}
	}
	return data
}

// A transcript is a response that can be read while it is written.
type transcript struct {
	*httptest.ResponseRecorder
	mu sync.Mutex
}

func (w *transcript) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ResponseRecorder.Write(b)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Body.String()
}

func TestAStreamHasCountsEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, err := otelgoroutine.Start(noop.NewMeterProvider()) // heard by nothing: it takes no snapshot
		require.NoError(t, err)
		p := Handler(m).(*page)
		ctx, closeTab := context.WithCancel(t.Context())
		w, ended := &transcript{ResponseRecorder: httptest.NewRecorder()}, make(chan struct{})
		go func() {
			defer close(ended)
			p.ServeHTTP(w, request("GET", "/stream?since=0").WithContext(ctx))
		}()
		time.Sleep(500 * time.Millisecond)
		began := time.Now()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		all := eventsNamed("counts", w.String())
		require.Len(t, all, 10)
		stay := make(chan struct{})
		for range 500 {
			go func() { <-stay }()
		}
		time.Sleep(time.Second)
		synctest.Wait()
		close(stay)
		all = eventsNamed("counts", w.String())
		require.Len(t, all, 11)
		before, after := countsOf(t, all[9]), countsOf(t, all[10])
		assert.Equal(t, 10500*time.Millisecond, after.Time.Sub(began), "from the start of the stream on")
		assert.Greater(t, after.Goroutines-before.Goroutines, 400, "some of other tests may end")
		assert.GreaterOrEqual(t, after.Created-before.Created, int64(500))
		assert.GreaterOrEqual(t, after.Waiting, int64(500))

		closeTab()
		<-ended
		assert.Zero(t, p.streams.open)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func countsOf(t *testing.T, data string) (c Counts) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(data), &c), data)
	return c
}

func TestTheDataHasTheCounts(t *testing.T) {
	p := Handler(watched(t))
	var all map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(get(t, p, "/data.json").Body.Bytes(), &all))
	c := countsOf(t, string(all["counts"]))
	assert.Positive(t, c.Goroutines)
	assert.Positive(t, c.Created)
	assert.Positive(t, c.Running, "the goroutine that reads them")
}

func BenchmarkCounts(b *testing.B) {
	b.ReportAllocs()
	p, s := new(page), &sender{w: httptest.NewRecorder()}
	s.control = http.NewResponseController(s.w)
	for b.Loop() {
		p.counts(s)
	}
}
