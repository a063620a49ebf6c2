// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// Times between two attempts.
const (
	firstWait = time.Second
	mostWait  = 10 * time.Second
)

// errShutdown is returned for a profile that comes after Shutdown.
var errShutdown = errors.New("the exporter was shut down; shut the monitor down first")

// An Exporter sends profiles to an endpoint of OTLP. Make one with [New].
type Exporter struct {
	config config
	client client
	closed atomic.Bool
}

// A client makes one attempt to send a request. An error that another attempt may not
// have is a *retryable.
type client interface {
	send(context.Context, *collectorpb.ExportProfilesServiceRequest) (*collectorpb.ExportProfilesServiceResponse, error)
	close() error
}

// A retryable is a failure that may pass.
type retryable struct {
	error
	after time.Duration // as the server says; 0 if it does not
}

func (r *retryable) Unwrap() error { return r.error }

// New returns an exporter. It connects with the first profile, so that an endpoint that
// cannot be reached is no error here. An error names each option and variable that is
// not valid, and what is accepted.
func New(_ context.Context, opts ...Option) (*Exporter, error) {
	c, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	e := &Exporter{config: c}
	if c.protocol == ProtocolGRPC {
		e.client, err = newGRPCClient(&c)
	} else {
		e.client = newHTTPClient(&c)
	}
	if err != nil {
		return nil, fmt.Errorf("otlpprofiles: %w", err)
	}
	return e, nil
}

// Export sends one profile. It is for otelgoroutine.WithProfileExporter, which calls it
// with profiles only; other files are not sent. Failures that may pass, as the
// specification of OTLP lists them, are tried again until ctx is done.
func (e *Exporter) Export(ctx context.Context, f otelgoroutine.File) error {
	if f.Kind != otelgoroutine.FileProfile {
		return nil
	}
	if e == nil || e.client == nil {
		return errors.New("otlpprofiles: this Exporter was not made by New")
	}
	request, err := e.request(&f)
	if err != nil {
		return fmt.Errorf("otlpprofiles: %w", err)
	}
	if err := e.deliver(ctx, request); err != nil {
		return fmt.Errorf("otlpprofiles: sending to %s: %w", e.config.endpoint.Redacted(), err)
	}
	return nil
}

// deliver sends a request, with as many attempts as ctx allows.
func (e *Exporter) deliver(ctx context.Context, request *collectorpb.ExportProfilesServiceRequest) error {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = firstWait, mostWait
	var last error
	response, err := backoff.Retry(ctx, func() (response *collectorpb.ExportProfilesServiceResponse, err error) {
		response, last = e.attempt(ctx, request)
		return response, retry(last)
	}, backoff.WithBackOff(waits), backoff.WithMaxElapsedTime(0))
	switch {
	case err == nil:
		return rejected(response)
	case last == nil, errors.Is(err, last):
		return err
	}
	return fmt.Errorf("%w; the last attempt: %w", err, last)
}

// retry tells the loop of attempts what an error means.
func retry(err error) error {
	var passing *retryable
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &passing):
		return backoff.Permanent(err)
	case passing.after > 0:
		return &backoff.RetryAfterError{Duration: passing.after}
	}
	return err
}

func (e *Exporter) attempt(ctx context.Context, request *collectorpb.ExportProfilesServiceRequest) (*collectorpb.ExportProfilesServiceResponse, error) {
	if e.closed.Load() {
		return nil, errShutdown
	}
	ctx, cancel := context.WithTimeout(ctx, e.config.timeout)
	defer cancel()
	return e.client.send(ctx, request)
}

// rejected returns what a server that took the request says against its content.
func rejected(response *collectorpb.ExportProfilesServiceResponse) error {
	partial := response.GetPartialSuccess()
	switch message := clip(partial.GetErrorMessage()); {
	case partial.GetRejectedProfiles() > 0:
		return fmt.Errorf("the server rejected %d profiles: %q", partial.GetRejectedProfiles(), message)
	case message != "":
		return fmt.Errorf("the server took the profile with a warning: %q", message)
	}
	return nil
}

// withoutService adds to the answer of a server without a service for profiles what is
// needed in a Collector.
func withoutService(err error) error {
	return fmt.Errorf("%w; a Collector takes profiles only with the feature gate service.profilesSupport and a pipeline for them", err)
}

// Shutdown closes the connections. Shut the monitor down first: it waits for the profiles
// that are still to be exported. Nothing is sent after Shutdown.
func (e *Exporter) Shutdown(context.Context) error {
	if e == nil || e.client == nil || e.closed.Swap(true) {
		return nil
	}
	return e.client.close()
}

// maxSaid is how many bytes of what a server says are repeated in an error.
const maxSaid = 512

func clip(said string) string { return said[:min(len(said), maxSaid)] }
