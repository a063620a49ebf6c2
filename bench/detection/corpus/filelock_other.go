// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package corpus

import (
	"errors"
	"io"
)

// lockFile fails: the program that needs it is not run here.
func lockFile(string) (io.Closer, error) { return nil, errors.ErrUnsupported }
