package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// version returns the version of this module with what the build says of itself:
// the Go version, the platform and, of a build from a checkout, the revision.
func version(build *debug.BuildInfo, ok bool) string {
	text := fmt.Sprintf("%s (%s %s/%s", otelgoroutine.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if !ok {
		return text + ")"
	}
	settings := make(map[string]string)
	for _, s := range build.Settings {
		settings[s.Key] = s.Value
	}
	if revision := settings["vcs.revision"]; revision != "" {
		text += ", revision " + revision[:min(len(revision), 12)]
	}
	if settings["vcs.modified"] == "true" {
		text += ", modified"
	}
	return text + ")"
}
