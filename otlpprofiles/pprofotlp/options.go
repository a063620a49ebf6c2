// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pprofotlp

import (
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelgoroutine/go/goroutine"
)

// Defaults of [Options].
const (
	DefaultMaxSamples = 20_000
	DefaultMaxBytes   = 4<<20 - 64<<10 // what a Collector takes over gRPC, less a resource
)

// Options say how a profile is translated. The zero value is valid.
type Options struct {
	// ID becomes profile_id. If it is zero, the profile has a random one.
	ID [16]byte

	// Time is when the profile was taken, for one that does not say so itself.
	Time time.Time

	// Attributes are those of the profile.
	Attributes []attribute.KeyValue

	// Links are the spans in which goroutines at these stacks were started. A sample
	// whose labels name a span is linked to that.
	Links map[goroutine.StackID]Link

	// Labels reports whether a pprof label becomes an attribute. If it is nil, none does.
	Labels func(key string) bool

	// MaxSamples and MaxBytes bound the result. At 0 they are the defaults.
	MaxSamples, MaxBytes int
}

// A Link identifies a span.
type Link struct {
	TraceID [16]byte
	SpanID  [8]byte
}

func (o *Options) maxSamples() int {
	if o.MaxSamples > 0 {
		return o.MaxSamples
	}
	return DefaultMaxSamples
}

func (o *Options) maxBytes() int {
	if o.MaxBytes > 0 {
		return o.MaxBytes
	}
	return DefaultMaxBytes
}
