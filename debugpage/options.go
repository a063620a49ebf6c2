package debugpage

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
)

// Limits of the options. A value outside is replaced by the nearest bound: a
// page for debugging must not keep a service from starting.
const (
	DefaultStreams = 8    // open pages
	MaxStreams     = 1000 // of WithStreams
	maxName        = 100  // bytes
)

type config struct {
	name    string
	streams int
}

// An Option changes how the page is served.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

func newConfig(opts []Option) config {
	c := config{streams: DefaultStreams}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	return c
}

// WithName sets the name of the service in the page's title, at most 100 bytes.
// The default is the name of the program's file.
func WithName(name string) Option {
	return optionFunc(func(c *config) { c.name = name[:min(len(name), maxName)] })
}

// WithStreams sets how many pages may be live at a time, from 1 to [MaxStreams].
// The default is [DefaultStreams]. Each is a goroutine and receives some
// kilobytes for each snapshot; one page too many shows that, and tries again.
func WithStreams(n int) Option {
	return optionFunc(func(c *config) { c.streams = min(max(n, 1), MaxStreams) })
}

// A program identifies the process.
type program struct {
	Name    string `json:"name"`
	Main    string `json:"main"` // import path of the main package
	Version string `json:"version"`
	Go      string `json:"go"`
	PID     int    `json:"pid"`
}

func programOf(name string) program {
	p := program{Name: name, Go: runtime.Version(), PID: os.Getpid()}
	if info, ok := debug.ReadBuildInfo(); ok {
		p.Main, p.Version = info.Path, info.Main.Version
	}
	if p.Name == "" && len(os.Args) > 0 {
		p.Name = filepath.Base(os.Args[0])
	}
	return p
}
