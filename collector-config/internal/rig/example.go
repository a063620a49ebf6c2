package rig

import "io"

// An ExampleConfig says how the example is to run.
type ExampleConfig struct {
	Program  string // of BuildExample
	OTLP     string // address to export to
	Instance string // service.instance.id
	Args     []string
	Out      io.Writer
}

// StartExample starts the example. It exports by itself, ready or not.
func StartExample(c ExampleConfig) (*Process, error) {
	env := []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.OTLP,
		"OTEL_RESOURCE_ATTRIBUTES=service.instance.id=" + c.Instance,
	}
	return start("the example "+c.Instance, c.Out, env, c.Program, c.Args...)
}
