// Package browsertest opens the live page of package debugpage in a real
// browser. It has tests only.
//
// They need Chromium, and are skipped without it. With the environment variable
// OTELGOROUTINE_REAL_PROGRAMS set to required they fail instead, and with skip
// they are left out. With SCREENSHOTS set to a folder they save pictures
// of the pages there.
package browsertest
