// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package realprograms switches the tests that start real programs: an
// OpenTelemetry Collector, Prometheus, a browser. They need more than Go, and
// the Collector takes minutes and gigabytes to build, so that they run where
// they are asked for: in CI, and wherever Variable is set.
package realprograms

import (
	"flag"
	"fmt"
	"os"
)

// Variable is the environment variable that asks for these tests. With any
// value they run, and a program that is missing is a failure. Without one none
// of them runs.
const Variable = "OTELGOROUTINE_REAL_PROGRAMS"

// Wanted reports whether the tests are to run.
func Wanted() bool { return os.Getenv(Variable) != "" }

// Skip is for the TestMain of a package whose tests all need what needs says. It
// runs none of them and returns the exit status. The go command then prints
// "[no tests to run]" after the package, and the reason with -v.
func Skip(m interface{ Run() int }, needs string) int {
	flag.Parse() // here, so that Run does not undo the next line
	if err := flag.Set("test.run", "^$"); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Printf("skipped: %s=1 runs the tests of this package; they need %s\n", Variable, needs)
	return m.Run()
}
