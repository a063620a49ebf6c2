// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/otelgoroutine/go/detectors"
)

// files keeps the newest files of a kind in a directory. It knows those that it has
// written, and never touches any other.
type files struct {
	what   string // with its article, for errors
	dir    string
	suffix string
	keep   int

	written []string // paths, oldest first; at most keep of them between two calls of save
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the directory does not exist; create it first")
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("this is not a directory")
	}
	return nil
}

// fileName returns the name of what is saved with a finding, without a suffix.
// Sorted by name, files are sorted by time.
func fileName(at time.Time, f *detectors.Finding) string {
	return timeName(at) + f.Detector + "-" + f.ID
}

// timeName is how the name of every file begins.
func timeName(at time.Time) string { return "goroutines-" + at.UTC().Format("20060102T150405.000Z-") }

// save writes a file and returns its absolute path. No partial file ever has this
// path.
func (f *files) save(name string, write func(io.Writer) error) (string, error) {
	path, err := filepath.Abs(filepath.Join(f.dir, name+f.suffix))
	if err != nil {
		return "", err
	}
	if err := writeFile(path, write); err != nil {
		return "", fmt.Errorf("otelgoroutine: saving %s: %w", f.what, err)
	}
	f.written = append(f.written, path)
	if err := f.prune(); err != nil {
		return path, fmt.Errorf("otelgoroutine: removing %s that is no longer kept: %w", f.what, err)
	}
	return path, nil
}

// writeFile writes through a temporary file in the same directory.
// os.CreateTemp creates it readable only by its owner.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".goroutines-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	err = errors.Join(write(f), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// prune removes the oldest files beyond the number to keep. One that cannot be
// removed is forgotten, so that the list stays bounded.
func (f *files) prune() error {
	var errs []error
	for len(f.written) > f.keep {
		if err := os.Remove(f.written[0]); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		f.written = f.written[1:]
	}
	return errors.Join(errs...)
}
