// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package auto observes the goroutines of a program without a line of code:
//
//	import _ "github.com/otelgoroutine/go/auto"
//
// starts a monitor when the program starts, with the default options and the global
// providers of OpenTelemetry. These may be set at any time later; until then nothing is
// captured unless something else hears the findings. Environment variables set what an
// operator would turn; docs/environment.md lists them. Among them,
// OTELGOROUTINE_ENABLED=false turns the monitor off, and so does OTEL_SDK_DISABLED=true,
// which is OpenTelemetry's own.
//
// A program that calls [otelgoroutine.Start] itself is in charge: that monitor takes the
// place of this package's, which is shut down, or which does not start at all if it
// comes second. So the import may be in a dependency, or in several: nothing is counted
// twice and no Start fails because of it. The price is that what the first monitor knew
// is lost, which right after the start is nothing.
//
// If the monitor cannot be started, the OpenTelemetry error handler gets the error, and
// the program runs without it. The handler of the program is usually set later, so this
// is OpenTelemetry's own, which logs.
//
// On the signal that OTELGOROUTINE_CAPTURE_SIGNAL names, such as SIGUSR1, a snapshot is
// taken and saved in OTELGOROUTINE_PROFILE_DIR. The signal then no longer ends the
// process, also after the program's own Start has taken over and nothing is captured.
//
// The monitor is never shut down by itself: it ends with the process. A program that
// flushes its telemetry at the end may call Shutdown on [Monitor] before.
package auto

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"go.opentelemetry.io/otel"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// monitor is set before any code that imports this package can run.
var monitor = start()

// Monitor returns the monitor that this package started, for a debug page, a report or
// Shutdown. Its methods are safe for concurrent use. If observing is turned off, or
// could not be started, it is a Monitor whose methods do nothing; and after the program's
// own Start it is one that has been shut down. It is never nil.
func Monitor() *otelgoroutine.Monitor { return monitor }

// start starts the monitor. A failure in it must not keep the program from starting.
func start() (m *otelgoroutine.Monitor) {
	defer func() {
		if p := recover(); p != nil {
			m = new(otelgoroutine.Monitor)
			tell(fmt.Errorf("panic: %v", p))
		}
	}()
	if strings.EqualFold(strings.TrimSpace(os.Getenv("OTEL_SDK_DISABLED")), "true") {
		return new(otelgoroutine.Monitor)
	}
	m, err := startWith(captureSignal())
	if err == nil {
		return m
	}
	if !errors.Is(err, otelgoroutine.ErrStarted) { // that one is the program's own, which is in charge
		tell(err)
	}
	return new(otelgoroutine.Monitor)
}

// startWith starts a monitor that captures on a signal; on none if it is nil or if there
// is no directory for what is captured, which is reported.
func startWith(s os.Signal) (*otelgoroutine.Monitor, error) {
	if s != nil {
		received := make(chan os.Signal, 1)
		m, err := otelgoroutine.Start(nil, otelgoroutine.WithHandover(), otelgoroutine.WithCaptureSignals(received))
		if err == nil {
			signal.Notify(received, s)
			return m, nil
		}
		if errors.Is(err, otelgoroutine.ErrStarted) {
			return nil, err
		}
		tell(fmt.Errorf("with OTELGOROUTINE_CAPTURE_SIGNAL, which needs OTELGOROUTINE_PROFILE_DIR; it is started without: %w", err))
	}
	return otelgoroutine.Start(nil, otelgoroutine.WithHandover())
}

// captureSignal returns the signal that the environment names. Start reports one that it
// does not know.
func captureSignal() os.Signal {
	name := os.Getenv("OTELGOROUTINE_CAPTURE_SIGNAL")
	s := signals[name]
	if s == nil && signals == nil && name != "" && name != "none" {
		tell(fmt.Errorf("OTELGOROUTINE_CAPTURE_SIGNAL=%.64q: this system has no such signal", name))
	}
	return s
}

// tell reports an error. The handler is the user's and may panic.
func tell(err error) {
	defer func() { _ = recover() }()
	otel.Handle(fmt.Errorf("otelgoroutine/auto: the monitor was not started: %w", err))
}
