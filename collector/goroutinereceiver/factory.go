// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/xconsumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/xreceiver"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/metadata"
)

// NewFactory returns the factory of the receiver.
func NewFactory() receiver.Factory {
	all := newSharing()
	return xreceiver.NewFactory(metadata.Type, createDefaultConfig,
		xreceiver.WithMetrics(func(_ context.Context, set receiver.Settings, c component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			return all.join(set, c.(*Config), func(r *goroutineReceiver) { r.next.metrics = next })
		}, metadata.MetricsStability),
		xreceiver.WithLogs(func(_ context.Context, set receiver.Settings, c component.Config, next consumer.Logs) (receiver.Logs, error) {
			return all.join(set, c.(*Config), func(r *goroutineReceiver) { r.next.logs = next })
		}, metadata.LogsStability),
		xreceiver.WithProfiles(func(_ context.Context, set receiver.Settings, c component.Config, next xconsumer.Profiles) (xreceiver.Profiles, error) {
			return all.join(set, c.(*Config), func(r *goroutineReceiver) { r.next.profiles = next })
		}, metadata.ProfilesStability))
}
