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
// or keeps in memory for the function of [WithArchive].
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

	content []byte // nil: it is on disk only
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

// place returns where the file is found: its path or, in an archive, its name.
func (f *File) place() string {
	if f.Path != "" {
		return f.Path
	}
	return f.Name
}

// A shelf is what files are kept together, the newest of them.
type shelf struct {
	cause FileCause
	kind  FileKind
}

// A store saves files: in a directory, for an archive, or both. Those of one shelf must
// be saved by one goroutine at a time.
type store struct {
	*complaints
	shelves map[shelf]*files // nil: there is no directory
	archive *archive         // nil: there is none
}

// newStore returns nil if nothing is to be saved.
func newStore(c *config, told *complaints) *store {
	s := &store{complaints: told}
	if c.archive != nil {
		s.archive = newArchive(c.archive, told)
	}
	if c.profileDir != "" {
		s.shelves = make(map[shelf]*files)
		for _, cause := range []FileCause{CauseFinding, CauseRequest} {
			s.keep(c.profileDir, c.profileKeep, cause, FileProfile, FileRecording)
		}
		s.keep(c.profileDir, c.profileKeep, CauseRequest, FileDump)
		s.keep(c.profileDir, c.periodKeep, CausePeriod, FileProfile)
	}
	if s.archive == nil && s.shelves == nil {
		return nil
	}
	return s
}

func (s *store) keep(dir string, most int, cause FileCause, kinds ...FileKind) {
	for _, kind := range kinds {
		s.shelves[shelf{cause, kind}] = &files{what: "a " + string(kind), dir: dir, suffix: suffixes[kind], keep: most}
	}
}

var suffixes = map[FileKind]string{FileProfile: ".pb.gz", FileRecording: ".trace", FileDump: ".txt"}

// fileOf returns a file that is still to be saved. f is nil if the cause is no finding.
func fileOf(kind FileKind, cause FileCause, at time.Time, f *detectors.Finding) File {
	if f != nil {
		return File{Name: fileName(at, f) + suffixes[kind], Kind: kind, Cause: cause, Time: at, Detector: f.Detector, FindingID: f.ID}
	}
	return File{Name: timeName(at) + string(cause) + suffixes[kind], Kind: kind, Cause: cause, Time: at}
}

// profile saves a snapshot.
func (s *store) profile(cause FileCause, snapshot *goroutine.Snapshot, f *detectors.Finding) (File, bool) {
	return s.save(fileOf(FileProfile, cause, snapshot.Time, f), func(w io.Writer) error { return parse.WriteProfile(w, snapshot) })
}

// bytes saves a content that is in memory.
func (s *store) bytes(file File, content []byte) (File, bool) {
	return s.save(file, func(w io.Writer) error { _, err := w.Write(content); return err })
}

// save writes a file and reports whether it was saved anywhere. Failures are reported.
func (s *store) save(file File, write func(io.Writer) error) (saved File, ok bool) {
	if s.archive != nil {
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
	if s.archive != nil {
		return file, s.archive.add(file) || file.Path != ""
	}
	return file, file.Path != ""
}
