// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// version returns the version of this module and the build information: the Go
// version, the platform and the revision, unless it is that of the version.
func version(build *debug.BuildInfo, ok bool) string {
	text := fmt.Sprintf("%s (%s %s/%s", otelgoroutine.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if !ok {
		return text + ")"
	}
	settings := make(map[string]string)
	for _, s := range build.Settings {
		settings[s.Key] = s.Value
	}
	switch revision, module := settings["vcs.revision"], build.Main.Version; {
	case revision != "":
		text += ", revision " + revision[:min(len(revision), 12)]
	case module != "" && module != "(devel)" && module != "v"+otelgoroutine.Version:
		text += ", module " + module // its version ends with the revision
	}
	if settings["vcs.modified"] == "true" {
		text += ", modified"
	}
	return text + ")"
}
