// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// The service wants no finding about the number of goroutines as a whole, since
// it has an alert on that already. The others are passed to
// otelgoroutine.WithDetectors.
func ExampleDefault() {
	chosen := slices.DeleteFunc(detectors.Default(), func(d *detectors.Detector) bool { return d.Name == "surge" })
	for _, d := range chosen {
		fmt.Println(d.Name)
	}
	// Output:
	// hang
	// leak
	// growth
	// deadlock
	// blocked_forever
	// pileup
	// contention
	// stall
}

// Requests to this service may take ten minutes. So a goroutine that waits for
// five, which is the default, is no reason yet to suspect a leak.
func ExampleNewLeak() {
	config := detectors.DefaultLeakConfig()
	config.MinAge = 15 * time.Minute

	// A process, in simulated time, whose handlers leave a goroutine behind
	// every half a minute.
	p := detectortest.NewProcess(1)
	send := detectortest.At(goroutine.ChanSend, "main.report.func1:41")
	series := detectortest.Series(p, 360, 30*time.Second, func(int) { p.Go(send, 1) })

	for _, step := range detectortest.Run(&testing.T{}, detectors.NewLeak(config), series...) {
		for _, f := range step.Findings {
			fmt.Println("found after", step.Snapshot.Time.Sub(detectortest.Start).Round(time.Hour))
			fmt.Println(f.Confidence, f.State, f.Stack.User().Function)
			return
		}
	}
	// Output:
	// found after 1h0m0s
	// suspected chan send main.report.func1
}

// Validate says what Start would say about detectors and their configuration.
func ExampleValidate() {
	all := append(detectors.Default(), newSleepers(100))
	fmt.Println(detectors.Validate(all))

	config := detectors.DefaultLeakConfig()
	config.MinRise = 0
	all[1] = detectors.NewLeak(config)
	fmt.Println(detectors.Validate(all))
	// Output:
	// <nil>
	// detector 1 ("leak"): LeakConfig.MinRise is 0; must be at least 1
}

// A subscription of this service waits for as long as its tenant is there. With
// otelgoroutine.WithKnownStacks(listener), the detectors pass over it.
func ExampleKnownStack() {
	listener := detectors.KnownStack{
		Name:   "tenant.(*Events).listen",
		Reason: "One per tenant, for as long as the tenant is there.",
		Match: func(s *goroutine.Stack) bool {
			return strings.HasSuffix(s.Entry().Function, "tenant.(*Events).listen")
		},
	}
	s := goroutine.NewStack([]goroutine.Frame{
		{Function: "example.com/shop/tenant.(*Events).next"},
		{Function: "example.com/shop/tenant.(*Events).listen"},
	})
	fmt.Println(listener.Match(s))
	// Output: true
}
