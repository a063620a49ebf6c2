// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"path/filepath"
	"runtime"
)

// BuildVMAlertTool builds the vmalert-tool of victoriametrics/ and returns the path
// of the program. Without cgo, VictoriaMetrics needs no C compiler.
func BuildVMAlertTool(ctx context.Context, folder string) (string, error) {
	path, err := filepath.Abs(filepath.Join(folder, ".build", "vmalert-tool"))
	if err != nil {
		return "", err
	}
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	_, err = run(ctx, filepath.Join(folder, "victoriametrics"), []string{"GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0"},
		"go", "build", "-ldflags=-s -w", "-o", path, "github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert-tool")
	return path, err
}
