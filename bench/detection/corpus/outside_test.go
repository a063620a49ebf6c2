// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// started returns the address of a dependency that always answers.
func started(t *testing.T, dependency string) string {
	t.Helper()
	address, err := Outside{Dependency: dependency}.Start()
	require.NoError(t, err)
	return address
}

// TestDependenciesAnswer asks each with the client that the programs have.
func TestDependenciesAnswer(t *testing.T) {
	assert.NoError(t, call(t.Context(), http.DefaultClient, "http://"+started(t, "http")))

	r := newGoRedis(started(t, "redis"))
	defer r.Close()
	assert.NoError(t, r.Set(t.Context(), "a", "b", 0).Err())
	assert.Equal(t, "b", r.Get(t.Context(), "a").Val())

	p := newPgx(started(t, "postgres"))
	defer p.Close()
	rows, err := p.Query(t.Context(), "SELECT id FROM shipments")
	require.NoError(t, err)
	var ids []int32
	for rows.Next() {
		var id int32
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	assert.NoError(t, rows.Err())
	assert.Equal(t, []int32{1, 2, 3}, ids)

	state, err := newHealth(started(t, "grpc")).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	assert.NoError(t, err)
	assert.Equal(t, grpc_health_v1.HealthCheckResponse_SERVING, state.GetStatus())

	_, err = Outside{Dependency: "telegraph"}.Start()
	assert.EqualError(t, err, "dependency telegraph: unknown")
}

// TestCallersCall holds both kinds: those that arrive, and those that wait.
func TestCallersCall(t *testing.T) {
	for name, c := range map[string]Calls{
		"steady": {Path: "/work", PerSecond: 1000},
		"closed": {Path: "/work", Callers: 2},
	} {
		t.Run(name, func(t *testing.T) {
			called := make(chan string, 1)
			s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case called <- r.URL.Path:
				default:
				}
			}))
			_, err := Outside{URL: s.URL, Calls: []Calls{c}}.Start()
			require.NoError(t, err)
			for range 5 {
				assert.Equal(t, "/work", <-called)
			}
		})
	}
}

// TestAPartnerOfTheFaultyProgramFallsSilent holds when, and that it is told.
func TestAPartnerOfTheFaultyProgramFallsSilent(t *testing.T) {
	for _, sound := range []bool{false, true} {
		e := NewEnv(1)
		e.sound = sound
		<-e.answer(0)
		e.Moved()
		e.started = time.Now().Add(-time.Hour)
		late := e.answer(0)
		served, faults, _ := e.Told()
		assert.EqualValues(t, 1, served)
		assert.Equal(t, !sound, faults > 0)
		if sound {
			<-late
		}
	}
}

func TestTheStandstillIsTheLastMove(t *testing.T) {
	e := NewEnv(1)
	assert.Zero(t, e.Standstill())
	e.Moved()
	first := e.Standstill()
	e.Served()
	assert.Equal(t, first, e.Standstill(), "other work does not count")
	e.Moved()
	assert.GreaterOrEqual(t, e.Standstill(), first)
}
