// Package browsertest opens the live page of package debugpage in a real
// browser. It has tests only.
//
// They need Chromium, and are skipped without it, except where the environment
// variable CI is set: there the tests fail. With SCREENSHOTS set to a folder
// they leave pictures of what they saw in it.
package browsertest
