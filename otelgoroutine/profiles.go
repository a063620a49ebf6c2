package otelgoroutine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

const (
	profilePrefix = "goroutines-"
	profileSuffix = ".pb.gz"
)

// profiles keeps the newest profiles in a directory. File names start with
// profilePrefix and the time, so sorting by name sorts by time. It never
// touches a file with a different name.
type profiles struct {
	dir  string
	keep int
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

// save writes s and returns the absolute path. No partial file ever has this
// path.
func (p *profiles) save(s *goroutine.Snapshot, detector, id string) (string, error) {
	name := profilePrefix + s.Time.UTC().Format("20060102T150405.000Z") + "-" + detector + "-" + id + profileSuffix
	path, err := filepath.Abs(filepath.Join(p.dir, name))
	if err != nil {
		return "", err
	}
	if err := writeFile(path, s); err != nil {
		return "", fmt.Errorf("otelgoroutine: saving a profile: %w", err)
	}
	if err := p.prune(); err != nil {
		return path, fmt.Errorf("otelgoroutine: removing old profiles: %w", err)
	}
	return path, nil
}

// writeFile writes through a temporary file in the same directory.
// os.CreateTemp creates it readable only by its owner.
func writeFile(path string, s *goroutine.Snapshot) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".goroutines-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	err = errors.Join(parse.WriteProfile(f, s), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// prune removes the oldest profiles beyond the number to keep.
func (p *profiles) prune() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), profilePrefix) && strings.HasSuffix(e.Name(), profileSuffix) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	var errs []error
	for _, name := range names[:max(0, len(names)-p.keep)] {
		errs = append(errs, os.Remove(filepath.Join(p.dir, name)))
	}
	return errors.Join(errs...)
}
