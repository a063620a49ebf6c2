// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlpprofiles exports the goroutine profiles of a monitor as OTLP profiles, over
// HTTP or gRPC. The signal is alpha, and so is this module: both may change in any
// release, and a Collector takes profiles only behind the feature gate
// service.profilesSupport.
//
//	exporter, err := otlpprofiles.New(ctx)
//	if err != nil {
//		return err
//	}
//	monitor, err := otelgoroutine.Start(nil, otelgoroutine.WithProfileExporter(exporter.Export))
//	…
//	monitor.Shutdown(ctx)  // waits for profiles that are still to be exported
//	exporter.Shutdown(ctx) // closes the connections
//
// The event of a finding has the ID of its profile in goroutine.profile.id, and the
// profile has that of each finding in goroutine.finding.id.
//
// # Configuration
//
// [New] reads the variables that the specification of OpenTelemetry has for OTLP exporters
// (OTEL_EXPORTER_OTLP_PROFILES_… before OTEL_EXPORTER_OTLP_…): ENDPOINT, PROTOCOL (grpc or
// http/protobuf), HEADERS, TIMEOUT, COMPRESSION, CERTIFICATE, CLIENT_CERTIFICATE,
// CLIENT_KEY and INSECURE. Options win over them. The resource is that of the SDK, with
// OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME, unless there is [WithResource].
//
// # Concurrency
//
// The monitor queues profiles, at most 16, and calls [Exporter.Export] on a goroutine of
// its own. The methods of an Exporter may be called from several goroutines. The exporter
// has no goroutines besides those of net/http and gRPC.
package otlpprofiles
