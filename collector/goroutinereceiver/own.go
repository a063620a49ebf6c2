// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"errors"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/metadata"
)

// ownTelemetry is what the receiver says of itself to the Collector.
type ownTelemetry struct {
	builder *metadata.TelemetryBuilder
	reports *receiverhelper.ObsReport
}

// newOwnTelemetry returns the telemetry. count is called at every collection.
func newOwnTelemetry(set receiver.Settings, count func() (byState [len(states)]int64, refused int64)) (*ownTelemetry, error) {
	reports, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: set.ID, Transport: "http", ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, err
	}
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		builder.RegisterGoroutineReceiverTargetsCallback(func(_ context.Context, o metric.Int64Observer) error {
			byState, _ := count()
			for i, n := range byState {
				o.Observe(n, metric.WithAttributes(attribute.String("state", states[i])))
			}
			return nil
		}),
		builder.RegisterGoroutineReceiverTargetsRefusedCallback(func(_ context.Context, o metric.Int64Observer) error {
			_, refused := count()
			o.Observe(refused)
			return nil
		}))
	return &ownTelemetry{builder, reports}, err
}

// snapshots counts attempts to take a snapshot.
func (o *ownTelemetry) snapshots(ctx context.Context, outcome string, n int64) {
	o.builder.GoroutineReceiverSnapshots.Add(ctx, n, metric.WithAttributes(attribute.String("outcome", outcome)))
}

// dropped counts events that are lost.
func (o *ownTelemetry) dropped(ctx context.Context, n int) {
	if n > 0 {
		o.builder.GoroutineReceiverEventsDropped.Add(ctx, int64(n))
	}
}

// droppedProfile counts a profile that is lost.
func (o *ownTelemetry) droppedProfile(ctx context.Context) {
	o.builder.GoroutineReceiverProfilesDropped.Add(ctx, 1)
}
