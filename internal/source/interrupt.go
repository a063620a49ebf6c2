// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"io"
	"os"
)

// readSize is how much an interruptible reader asks for at once.
const readSize = 256 << 10

// await returns the result of f, or the error of ctx once it ends. f then goes on
// alone, which is only right because the process ends: a system call that waits for
// a slow disk, a terminal or the other end of a pipe cannot be ended otherwise.
func await[T any](ctx context.Context, f func() (T, error)) (v T, err error) {
	if err := ctx.Err(); err != nil {
		return v, err
	}
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		return v, ctx.Err()
	}
}

// Open opens a file to read it. Opening and reading it end when ctx ends, also
// those of a named pipe without a writer.
func Open(ctx context.Context, name string) (io.ReadCloser, error) {
	f, err := await(ctx, func() (*os.File, error) { return os.Open(name) })
	if err != nil {
		return nil, err
	}
	return &interruptible{ctx: ctx, r: f, close: f.Close}, nil
}

// ReadFile is os.ReadFile until ctx ends.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	return await(ctx, func() ([]byte, error) { return os.ReadFile(name) })
}

// An interruptible reader reads until its context ends.
type interruptible struct {
	ctx   context.Context
	r     io.Reader
	close func() error
	buf   []byte // not to be touched once a read is given up
	have  []byte // the part of buf that is not yet returned
	err   error  // of the read that filled buf
}

func (i *interruptible) Read(p []byte) (int, error) {
	if len(i.have) == 0 {
		if i.err == nil {
			i.fill()
		}
		if len(i.have) == 0 {
			return 0, i.err
		}
	}
	n := copy(p, i.have)
	i.have = i.have[n:]
	return n, nil
}

func (i *interruptible) fill() {
	if i.buf == nil {
		i.buf = make([]byte, readSize)
	}
	n, err := await(i.ctx, func() (int, error) { return i.r.Read(i.buf) })
	i.have, i.err = i.buf[:n], err
}

func (i *interruptible) Close() error { return i.close() }
