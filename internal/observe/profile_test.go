// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// profileIDs keeps what the events say of profiles.
type profileIDs struct {
	logs
	ids []string
}

func (p *profileIDs) Export(ctx context.Context, records []sdklog.Record) error {
	for _, r := range records {
		id := ""
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			if kv.Key == telemetry.AttrProfileID {
				id = kv.Value.AsString()
			}
			return true
		})
		p.ids = append(p.ids, id)
	}
	return p.logs.Export(ctx, records)
}

// An event about an open fault has the ID of the profile of its snapshot.
func TestProfilesOfFindings(t *testing.T) {
	exported := new(profileIDs)
	tel, err := telemetry.New(telemetry.Config{
		MeterProvider:  sdkmetric.NewMeterProvider(),
		LoggerProvider: sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewSimpleProcessor(exported))),
		TopStacks:      20,
	})
	require.NoError(t, err)
	f := newFake(waiting, 3)
	target, _ := newTestTarget(f, tel, crowd)
	var totals []int
	var of []detectors.Finding
	target.Profile(func(s *goroutine.Snapshot, findings []detectors.Finding) [16]byte {
		totals, of = append(totals, s.Total), findings
		return [16]byte{0xab}
	})
	observe(t, target, 1)
	ids := f.Go(crowded, 12)
	observe(t, target, 1)
	f.Exit(ids...)
	observe(t, target, 6)

	assert.Equal(t, []int{15}, totals, "one profile, of the snapshot with the fault")
	require.Len(t, of, 1)
	assert.Equal(t, "crowd", of[0].Detector)
	require.Len(t, exported.names, 2)
	assert.Equal(t, []string{"ab000000000000000000000000000000", ""}, exported.ids, "an end has no profile")
}
