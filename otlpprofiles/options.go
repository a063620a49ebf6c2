// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
)

// A Protocol is how OTLP is transported.
type Protocol string

// The protocols, as OTEL_EXPORTER_OTLP_PROTOCOL names them.
const (
	ProtocolHTTP Protocol = "http/protobuf" // the default
	ProtocolGRPC Protocol = "grpc"
)

// Limits of [WithTimeout].
const (
	MinTimeout = 100 * time.Millisecond
	MaxTimeout = 5 * time.Minute
)

const (
	defaultTimeout = 10 * time.Second
	// path is that of the signal below the base URL of an endpoint. Alpha is not v1.
	path = "/v1development/profiles"
)

// config is the configuration of an exporter.
type config struct {
	protocol Protocol
	endpoint *url.URL // with http or https; for HTTP the complete URL
	headers  map[string]string
	tls      *tls.Config // nil: the system's roots
	timeout  time.Duration
	gzip     *bool
	resource *resource.Resource

	errs []error
}

// An Option changes how [New] exports. Options win over variables.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

func newConfig(opts []Option) (config, error) {
	c := config{headers: make(map[string]string)}
	for i, o := range opts {
		if o == nil {
			c.refuse("option %d is nil", i)
			continue
		}
		o.apply(&c)
	}
	c.environment()
	c.defaults()
	return c, errors.Join(c.errs...)
}

// defaults sets what neither a variable nor an option has set.
func (c *config) defaults() {
	if c.protocol == "" {
		c.protocol = ProtocolHTTP
	}
	if c.endpoint == nil {
		c.endpoint = &url.URL{Scheme: "http", Host: "localhost:4318", Path: path}
		if c.protocol == ProtocolGRPC {
			c.endpoint = &url.URL{Scheme: "http", Host: "localhost:4317"}
		}
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.gzip == nil {
		c.gzip = new(bool)
	}
	if c.resource == nil {
		c.resource = resource.Default()
	}
}

func (c *config) refuse(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("otlpprofiles: "+format, args...))
}

// WithProtocol sets the protocol. The default is [ProtocolHTTP].
func WithProtocol(p Protocol) Option {
	return optionFunc(func(c *config) {
		if p != ProtocolHTTP && p != ProtocolGRPC {
			c.refuse("WithProtocol(%q): the protocol must be %q or %q", p, ProtocolHTTP, ProtocolGRPC)
			return
		}
		c.protocol = p
	})
}

// WithEndpointURL sets the URL that profiles are sent to, as it is: for HTTP with the
// path, such as http://collector:4318/v1development/profiles; of that for gRPC, only
// scheme and host count, such as http://collector:4317. With http there is no TLS, with
// https there is. The default is localhost, at port 4318 for HTTP and 4317 for gRPC.
func WithEndpointURL(endpoint string) Option {
	return optionFunc(func(c *config) {
		u, err := parseEndpoint(endpoint)
		if err != nil {
			c.refuse("WithEndpointURL: %w", err)
			return
		}
		c.endpoint = u
	})
}

// WithHeaders adds headers to each request, for gRPC as metadata. Their values are
// credentials as a rule, and are in no error.
func WithHeaders(headers map[string]string) Option {
	return optionFunc(func(c *config) {
		for name, value := range headers {
			if err := checkHeader(name, value); err != nil {
				c.refuse("WithHeaders: %w", err)
			}
		}
		maps.Copy(c.headers, headers)
	})
}

// WithTLSConfig sets how TLS is used with an endpoint that has https.
func WithTLSConfig(t *tls.Config) Option {
	return optionFunc(func(c *config) {
		if t == nil {
			c.refuse("WithTLSConfig(nil): a configuration is needed; leave the option out to use the system's certificates")
			return
		}
		c.tls = t.Clone()
	})
}

// WithTimeout sets how long one attempt may take, from [MinTimeout] to [MaxTimeout]. The
// default is 10 s. All attempts for a profile together have
// otelgoroutine.ArchiveTimeout.
func WithTimeout(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if d < MinTimeout || d > MaxTimeout {
			c.refuse("WithTimeout(%v): the time must be %v to %v", d, MinTimeout, MaxTimeout)
		}
		c.timeout = d
	})
}

// WithGzip compresses requests, or does not, which is the default.
func WithGzip(on bool) Option { return optionFunc(func(c *config) { c.gzip = &on }) }

// WithResource sets what produced the profiles. It should be the resource of the other
// telemetry of the service, so that profiles are found beside it. The default is
// resource.Default().
func WithResource(r *resource.Resource) Option {
	return optionFunc(func(c *config) {
		if r == nil {
			c.refuse("WithResource(nil): a resource is needed; leave the option out to use the default of the SDK")
			return
		}
		c.resource = r
	})
}
