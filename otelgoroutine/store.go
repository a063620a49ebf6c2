// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"errors"
	"io"
	"os"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A FileKind says what a [File] contains.
type FileKind string

// The kinds of files.
const (
	FileProfile   FileKind = "profile"   // a goroutine profile, for go tool pprof
	FileRecording FileKind = "recording" // of the program's flight recorder, for go tool trace
	FileDump      FileKind = "dump"      // a goroutine dump, the text of runtime.Stack
)

// A FileCause says why a [File] was written.
type FileCause string

// The causes.
const (
	CauseFinding FileCause = "finding"  // something was detected
	CausePeriod  FileCause = "periodic" // [WithPeriodicProfiles]
	CauseRequest FileCause = "request"  // [Monitor.Capture], a signal or a request over HTTP
)

// A File is a file that a monitor has written into the directory of [WithProfileDir],
// or keeps in memory for the functions of [WithArchive] and [WithProfileExporter].
type File struct {
	// Name is the file's name, without a directory. It begins with the time, so that
	// names sort by time, and names the detector and the finding, or the cause.
	Name string

	// Path is the absolute path of the file. It is empty without WithProfileDir, and
	// when the file could not be written. The file is removed when enough newer ones
	// of its kind and cause have been written.
	Path string

	Kind  FileKind
	Cause FileCause
	Time  time.Time // of the snapshot

	Detector, FindingID string // of the finding; empty if the cause is another

	// Findings are those whose events say that this file belongs to them, the one
	// above first. They are shared and must not be modified.
	Findings []detectors.Finding

	// ProfileID identifies a profile that was handed to the function of
	// [WithProfileExporter]. It is random, and zero for all other files.
	ProfileID [16]byte

	content  []byte // nil: it is on disk only
	archived bool   // the function of WithArchive gets it
}

// Open opens the content for reading. It reads from memory if the content is there, and
// otherwise from Path; then the error is that of os.Open, and fs.ErrNotExist for a file
// that is no longer kept.
func (f File) Open() (io.ReadSeekCloser, error) {
	switch {
	case f.content != nil:
		return inMemory{bytes.NewReader(f.content)}, nil
	case f.Path != "":
		return os.Open(f.Path)
	}
	return nil, errors.New("otelgoroutine: this File was not made by a Monitor")
}

// inMemory is a reader that needs not be closed.
type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// place returns where the file is found: its path or, in an archive, its name. It is
// empty for a profile that was exported only.
func (f *File) place() string {
	if f.Path == "" && f.archived {
		return f.Name
	}
	return f.Path
}

// A shelf is what files are kept together, the newest of them.
type shelf struct {
	cause FileCause
	kind  FileKind
}

// A store saves files in a directory, for an archive and for an exporter of profiles.
// Those of one shelf must be saved by one goroutine at a time.
type store struct {
	*complaints
	shelves  map[shelf]*files // nil: there is no directory
	archive  *archive         // nil: there is none
	exporter *archive         // the same, of profiles
}

// newStore returns nil if nothing is to be saved. dropped is called for each profile that
// did not reach the exporter.
func newStore(c *config, told *complaints, dropped func()) *store {
	s := &store{complaints: told}
	if c.archive != nil {
		s.archive = newArchive("WithArchive", c.archive, told, func() {})
	}
	if c.exporter != nil {
		s.exporter = newArchive("WithProfileExporter", c.exporter, told, dropped)
	}
	if c.profileDir != "" {
		s.shelves = make(map[shelf]*files)
		for _, cause := range []FileCause{CauseFinding, CauseRequest} {
			s.keep(c.profileDir, c.profileKeep, cause, FileProfile, FileRecording)
		}
		s.keep(c.profileDir, c.profileKeep, CauseRequest, FileDump)
		s.keep(c.profileDir, c.periodKeep, CausePeriod, FileProfile)
	}
	if !s.keeps() && s.exporter == nil {
		return nil
	}
	return s
}

// keeps reports whether files of every kind have a place.
func (s *store) keeps() bool { return s.archive != nil || s.shelves != nil }

func (s *store) keep(dir string, most int, cause FileCause, kinds ...FileKind) {
	for _, kind := range kinds {
		s.shelves[shelf{cause, kind}] = &files{what: "a " + string(kind), dir: dir, suffix: suffixes[kind], keep: most}
	}
}

var suffixes = map[FileKind]string{FileProfile: ".pb.gz", FileRecording: ".trace", FileDump: ".txt"}

// fileOf returns a file that is still to be saved. The first finding gives it its name; if
// there is none, the cause does.
func fileOf(kind FileKind, cause FileCause, at time.Time, of ...detectors.Finding) File {
	if len(of) > 0 {
		f := &of[0]
		return File{Name: fileName(at, f) + suffixes[kind], Kind: kind, Cause: cause, Time: at, Detector: f.Detector, FindingID: f.ID, Findings: of}
	}
	return File{Name: timeName(at) + string(cause) + suffixes[kind], Kind: kind, Cause: cause, Time: at}
}

// profile saves a snapshot.
func (s *store) profile(cause FileCause, snapshot *goroutine.Snapshot, of ...detectors.Finding) (File, bool) {
	return s.save(fileOf(FileProfile, cause, snapshot.Time, of...), func(w io.Writer) error { return parse.WriteProfile(w, snapshot) })
}

// bytes saves a content that is in memory.
func (s *store) bytes(file File, content []byte) (File, bool) {
	return s.save(file, func(w io.Writer) error { _, err := w.Write(content); return err })
}

// save writes a file and reports whether it was saved anywhere. Failures are reported.
func (s *store) save(file File, write func(io.Writer) error) (saved File, ok bool) {
	exported := s.exporter != nil && file.Kind == FileProfile
	if s.archive != nil || exported {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			s.complain(string(file.Kind), err)
			return file, false
		}
		file.content = b.Bytes()
		write = func(w io.Writer) error { _, err := w.Write(b.Bytes()); return err }
	}
	if on := s.shelves[shelf{file.Cause, file.Kind}]; on != nil {
		var err error
		if file.Path, err = on.save(file.Name[:len(file.Name)-len(on.suffix)], write); err != nil {
			s.complain(string(file.Kind), err)
		}
	}
	if exported {
		file = s.exporter.addProfile(file)
	}
	file.archived = s.archive != nil && s.archive.add(file)
	return file, file.Path != "" || file.archived || file.ProfileID != [16]byte{}
}
