// Package browsertest opens the live page of package debugpage in a real
// browser. It has tests only.
//
// They need Chromium, and run where the environment variable
// OTELGOROUTINE_REAL_PROGRAMS is set, as it is in CI. With SCREENSHOTS set to a
// folder they leave pictures of what they saw in it.
package browsertest
