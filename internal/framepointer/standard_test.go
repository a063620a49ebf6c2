// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheStandardPackagesWithAssembly(t *testing.T) {
	for _, target := range []string{"linux/amd64", "linux/arm64", "darwin/arm64", "windows/amd64"} {
		goos, goarch, _ := strings.Cut(target, "/")
		c := exec.Command("go", "list", "-f", "{{if .SFiles}}{{.ImportPath}}{{end}}", "std")
		c.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch)
		out, err := c.Output()
		require.NoError(t, err)
		packages := strings.Fields(string(out))
		require.NotEmpty(t, packages)
		for _, p := range packages {
			assert.True(t, standardPackages[p], "%s of %s", p, target)
		}
	}
}
