// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"path/filepath"
	"runtime"
)

// BuildPrometheus builds the Prometheus of prometheus3/, which is newer than the
// one that Debian has, and returns the paths of prometheus and promtool. Service
// discovery of clouds and clusters, which is most of what it imports, is left out.
func BuildPrometheus(ctx context.Context, folder string) (prometheus, promtool string, err error) {
	dir, err := filepath.Abs(filepath.Join(folder, ".build"))
	if err != nil {
		return "", "", err
	}
	const module = "github.com/prometheus/prometheus/cmd/"
	_, err = run(ctx, filepath.Join(folder, "prometheus3"), []string{"GOWORK=off", "GOFLAGS="},
		"go", "build", "-tags=remove_all_sd", "-ldflags=-s -w", "-o", dir+string(filepath.Separator), module+"prometheus", module+"promtool")
	suffix := ""
	if runtime.GOOS == "windows" {
		suffix = ".exe"
	}
	return filepath.Join(dir, "prometheus"+suffix), filepath.Join(dir, "promtool"+suffix), err
}
