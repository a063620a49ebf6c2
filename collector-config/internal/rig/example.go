// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"io"
	"strings"
)

// An ExampleConfig says how to run the example.
type ExampleConfig struct {
	Program  string // path returned by BuildExample
	OTLP     string // address to export to
	Instance string // service.instance.id
	Args     []string
	Out      io.Writer

	// Resource has more resource attributes, such as "service.version=v1.8.2".
	Resource []string

	// Env has further variables, such as those of [Prometheus.OTLP].
	Env []string
}

// StartExample starts the example. It does not wait: the example exports by
// itself.
func StartExample(c ExampleConfig) (*Process, error) {
	env := append([]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.OTLP,
		"OTEL_RESOURCE_ATTRIBUTES=" + strings.Join(append(c.Resource, "service.instance.id="+c.Instance), ","),
	}, c.Env...)
	return start("the example "+c.Instance, c.Out, env, c.Program, c.Args...)
}
