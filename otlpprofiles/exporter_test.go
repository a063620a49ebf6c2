// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// TestMain runs all tests with an environment that says nothing about OTLP.
func TestMain(m *testing.M) {
	for _, v := range os.Environ() {
		if name, _, _ := bytes.Cut([]byte(v), []byte("=")); bytes.HasPrefix(name, []byte("OTEL_")) {
			os.Unsetenv(string(name))
		}
	}
	goleak.VerifyTestMain(m)
}

var (
	waiting = goroutine.NewStack([]goroutine.Frame{{Function: "runtime.gopark"}, {Function: "main.wait", File: "/src/main.go", Line: 5}})
	working = goroutine.NewStack([]goroutine.Frame{{Function: "main.work", File: "/src/main.go", Line: 9}})
)

// profileFile returns a file of a finding as a monitor makes it.
func profileFile(t *testing.T) otelgoroutine.File {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, parse.WriteProfile(&b, &goroutine.Snapshot{
		Time: time.Unix(1_700_000_000, 0), Total: 12,
		Groups: []goroutine.Group{
			{Stack: waiting, State: goroutine.ChanReceive, Count: 10},
			{Stack: working, State: goroutine.Running, Count: 2},
		},
	}))
	path := filepath.Join(t.TempDir(), "goroutines.pb.gz")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return otelgoroutine.File{
		Name: "goroutines.pb.gz", Path: path, Kind: otelgoroutine.FileProfile, Cause: otelgoroutine.CauseFinding,
		Time: time.Unix(1_700_000_000, 0), Detector: "leak", FindingID: "0123456789abcdef", ProfileID: [16]byte{1, 2, 3},
		Findings: []detectors.Finding{{
			ID: "0123456789abcdef", Detector: "leak", Stack: waiting,
			Traces: []detectors.Trace{{TraceID: "0102030405060708090a0b0c0d0e0f10"}, {TraceID: "0102030405060708090a0b0c0d0e0f10", SpanID: "1112131415161718"}},
		}},
	}
}

// answers is a client that answers as a test says.
type answers struct {
	answer func(ctx context.Context, n int) (*collectorpb.ExportProfilesServiceResponse, error)
	n      int
	closed bool
}

func (a *answers) send(ctx context.Context, _ *collectorpb.ExportProfilesServiceRequest) (*collectorpb.ExportProfilesServiceResponse, error) {
	a.n++
	return a.answer(ctx, a.n)
}

func (a *answers) close() error { a.closed = true; return nil }

// exporterOf returns an exporter with such a client.
func exporterOf(t *testing.T, a *answers) *Exporter {
	t.Helper()
	c, err := newConfig(nil)
	require.NoError(t, err)
	return &Exporter{config: c, client: a}
}

func TestFailuresThatMayPassAreTriedAgain(t *testing.T) {
	file := profileFile(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a := &answers{answer: func(_ context.Context, n int) (*collectorpb.ExportProfilesServiceResponse, error) {
			switch n {
			case 1:
				return nil, &retryable{error: errors.New("busy")}
			case 2:
				return nil, &retryable{error: errors.New("busy"), after: 7 * time.Second}
			}
			return &collectorpb.ExportProfilesServiceResponse{}, nil
		}}
		require.NoError(t, exporterOf(t, a).Export(t.Context(), file))
		assert.Equal(t, 3, a.n)
		assert.GreaterOrEqual(t, time.Since(began), 7*time.Second+firstWait/2, "as the server says")
		assert.LessOrEqual(t, time.Since(began), 7*time.Second+2*firstWait)
	})
}

func TestAttemptsEndWithTheContext(t *testing.T) {
	file := profileFile(t)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a := &answers{answer: func(ctx context.Context, _ int) (*collectorpb.ExportProfilesServiceResponse, error) {
			<-ctx.Done() // the time for one attempt
			return nil, &retryable{error: fmt.Errorf("no answer: %w", ctx.Err())}
		}}
		ctx, cancel := context.WithTimeout(t.Context(), otelgoroutine.ArchiveTimeout)
		defer cancel()
		err := exporterOf(t, a).Export(ctx, file)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "sending to http://localhost:4318/v1development/profiles")
		assert.ErrorContains(t, err, "the last attempt: no answer")
		assert.Equal(t, otelgoroutine.ArchiveTimeout, time.Since(began))
		assert.Equal(t, 3, a.n)
	})
}

func TestOtherFailuresAreNot(t *testing.T) {
	file := profileFile(t)
	for says, answer := range map[string]func(context.Context, int) (*collectorpb.ExportProfilesServiceResponse, error){
		"no": func(context.Context, int) (*collectorpb.ExportProfilesServiceResponse, error) {
			return nil, errors.New("no")
		},
		`the server rejected 1 profiles: "too old"`: func(context.Context, int) (*collectorpb.ExportProfilesServiceResponse, error) {
			return &collectorpb.ExportProfilesServiceResponse{PartialSuccess: &collectorpb.ExportProfilesPartialSuccess{RejectedProfiles: 1, ErrorMessage: "too old"}}, nil
		},
		`took the profile with a warning: "alpha"`: func(context.Context, int) (*collectorpb.ExportProfilesServiceResponse, error) {
			return &collectorpb.ExportProfilesServiceResponse{PartialSuccess: &collectorpb.ExportProfilesPartialSuccess{ErrorMessage: "alpha"}}, nil
		},
	} {
		a := &answers{answer: answer}
		assert.ErrorContains(t, exporterOf(t, a).Export(t.Context(), file), says)
		assert.Equal(t, 1, a.n)
	}
}

func TestNothingIsSentAfterShutdown(t *testing.T) {
	a := &answers{}
	e := exporterOf(t, a)
	require.NoError(t, e.Shutdown(t.Context()))
	require.NoError(t, e.Shutdown(t.Context()))
	assert.True(t, a.closed)
	assert.ErrorIs(t, e.Export(t.Context(), profileFile(t)), errShutdown)
	assert.Zero(t, a.n)
}

func TestOnlyProfilesAreSent(t *testing.T) {
	a := &answers{}
	file := profileFile(t)
	file.Kind = otelgoroutine.FileDump
	require.NoError(t, exporterOf(t, a).Export(t.Context(), file))
	assert.Zero(t, a.n)

	file = profileFile(t)
	require.NoError(t, os.WriteFile(file.Path, []byte("<html>"), 0o600))
	assert.ErrorContains(t, exporterOf(t, a).Export(t.Context(), file), "otlpprofiles: goroutine profile: this is HTML")
	require.NoError(t, os.Remove(file.Path))
	assert.ErrorIs(t, exporterOf(t, a).Export(t.Context(), file), os.ErrNotExist)
}

func TestAnExporterThatNewDidNotMake(t *testing.T) {
	var none *Exporter
	for _, e := range []*Exporter{none, {}} {
		assert.ErrorContains(t, e.Export(t.Context(), profileFile(t)), "not made by New")
		assert.NoError(t, e.Shutdown(t.Context()))
	}
}
