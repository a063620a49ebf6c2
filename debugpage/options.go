// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
)

// Limits of the options. A value outside its limits is replaced by the nearest
// limit: a debugging page must not keep a service from starting.
const (
	DefaultStreams = 8    // open pages
	MaxStreams     = 1000 // maximum for WithStreams
	maxName        = 100  // bytes
)

type config struct {
	name    string
	streams int
	hosts   hosts

	readOnly bool
}

// An Option configures how the page is served.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

func newConfig(opts []Option) config {
	c := config{streams: DefaultStreams}
	c.hosts.addMachine()
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

// WithStreams sets how many pages may be live at the same time, from 1 to
// [MaxStreams]. The default is [DefaultStreams]. Each uses one goroutine and
// receives a few kilobytes for each snapshot. A page beyond the limit says so
// and tries again.
func WithStreams(n int) Option {
	return optionFunc(func(c *config) { c.streams = min(max(n, 1), MaxStreams) })
}

// WithReadOnly leaves out the resource capture and the button, so that no request takes a
// snapshot or leads to a file.
func WithReadOnly() Option { return optionFunc(func(c *config) { c.readOnly = true }) }

// WithHosts adds names under which the page is served, such as the name of an
// ingress or of a Kubernetes service: "debug.example.com". A name that begins
// with a dot stands for a domain and all names in it. A port is ignored. The
// name "*" stands for all names. It is safe where a login protects the page,
// because a browser does not send the credentials for one name to another.
//
// Without this option, a request must be for an IP address, for localhost or a
// name that ends in ".localhost", or for the name of this machine. Requests for
// other names get status 403, because a website could give itself a name that
// leads here and then read the page in an operator's browser (DNS rebinding).
func WithHosts(names ...string) Option {
	return optionFunc(func(c *config) {
		for _, name := range names {
			c.hosts.add(name)
		}
	})
}

// A program identifies the process.
type program struct {
	Name    string `json:"name"`
	Main    string `json:"main"`   // import path of the main package
	Module  string `json:"module"` // path of the main module, which tells own code from libraries
	Version string `json:"version"`
	Go      string `json:"go"`
	PID     int    `json:"pid"`
}

func programOf(name string) program {
	p := program{Name: name, Go: runtime.Version(), PID: os.Getpid()}
	if info, ok := debug.ReadBuildInfo(); ok {
		p.Main, p.Module, p.Version = info.Path, info.Main.Path, info.Main.Version
	}
	if p.Name == "" && len(os.Args) > 0 {
		p.Name = filepath.Base(os.Args[0])
	}
	return p
}
