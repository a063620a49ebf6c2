package rig

import "io"

// An ExampleConfig says how to run the example.
type ExampleConfig struct {
	Program  string // path returned by BuildExample
	OTLP     string // address to export to
	Instance string // service.instance.id
	Args     []string
	Out      io.Writer
}

// StartExample starts the example. It does not wait: the example exports by
// itself.
func StartExample(c ExampleConfig) (*Process, error) {
	env := []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://" + c.OTLP,
		"OTEL_RESOURCE_ATTRIBUTES=service.instance.id=" + c.Instance,
	}
	return start("the example "+c.Instance, c.Out, env, c.Program, c.Args...)
}
