// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package spanlabels_test

import (
	"context"
	"fmt"
	"runtime/pprof"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelgoroutine/go/spanlabels"
)

func ExampleWrap() {
	sdk := sdktrace.NewTracerProvider() // with the exporter of the service
	defer func() { _ = sdk.Shutdown(context.Background()) }()

	tracer := spanlabels.Wrap(sdk).Tracer("shop") // usually: otel.SetTracerProvider(spanlabels.Wrap(sdk))
	ctx, span := tracer.Start(context.Background(), "GET /cart")
	defer span.End()

	label, _ := pprof.Label(ctx, "trace_id")
	fmt.Println(label == span.SpanContext().TraceID().String())
	// Output: true
}
