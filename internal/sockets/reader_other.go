// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux || 386 || s390x

package sockets

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

func (r *Reader) read(time.Time, bounds) (*goroutine.Sockets, error) { return nil, ErrUnsupported }
