// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Program is what a [Verdict] is about.
type Program struct {
	GoVersion string // as runtime.Version returns it
	GOARCH    string
	GODEBUG   string // the settings in force: those of the build, then those of the environment
	Modules   []*debug.Module
	Functions []Function // that spoil the frame pointer
	Err       error      // why those are not known, or not all

	main    *debug.Module
	library bool // it is loaded by another program
}

// A Verdict says whether a program can bear an execution trace.
type Verdict struct {
	Status    Status    `json:"verdict"`
	GoVersion string    `json:"go_version"`
	GOARCH    string    `json:"goarch"`
	Functions []Culprit `json:"functions"`
	Reason    string    `json:"reason"` // a clause, lower case
	Advice    []string  `json:"advice"` // clauses; any one of these makes it safe
}

// A Culprit is a function that spoils the frame pointer, with its module as far
// as it is known.
type Culprit struct {
	Name    string `json:"name"`
	Module  string `json:"module,omitempty"`
	Version string `json:"version,omitempty"`
	own     bool   // it is in the module of the program itself
}

// A Status is what is known of a program.
type Status string

// The statuses.
const (
	Safe      Status = "safe"
	Unsafe    Status = "unsafe"
	Undecided Status = "undecided"
)

const (
	setting    = "tracefpunwindoff"
	adviseOff  = "set GODEBUG=" + setting + "=1 in the environment" // the go command refuses it in //go:debug
	fixedPatch = 6
	adviseGo   = "build with Go 1.26.6 or newer"
)

// Process returns the verdict on this process. It reads the executable once:
// the first call takes some 5 ms, 50 ms at most on a machine that is not busy.
// It is safe for concurrent use.
var Process = sync.OnceValue(func() Verdict {
	p := Program{GoVersion: runtime.Version(), GOARCH: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		p.take(info)
	}
	p.GODEBUG += "," + atStart
	if followed(p.GOARCH) {
		p.scan(scanProcess)
	}
	return Judge(p)
})

// atStart is GODEBUG as it was when the process started: the runtime reads the
// setting only then.
var atStart = os.Getenv("GODEBUG")

func scanProcess() ([]Function, error) {
	path := "/proc/self/exe" // also of a file that was replaced or removed
	if runtime.GOOS != "linux" {
		var err error
		if path, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return scan(file, formatOf(runtime.GOOS), ownName())
}

// ownName returns the name of a function of this package, which the executable
// must have. It has not where this process was started from another program and
// loaded this one as a library.
func ownName() string { return runtime.FuncForPC(reflect.ValueOf(ownName).Pointer()).Name() }

// scan takes over what read finds out, and why it fails if it panics.
func (p *Program) scan(read func() ([]Function, error)) {
	defer func() {
		if r := recover(); r != nil {
			p.Err = fmt.Errorf("reading the program: panic: %v", r)
		}
	}()
	if p.Functions, p.Err = read(); p.Err == nil && p.library {
		p.Err = errors.New("it is a library that another program loads, whose code is not known")
	}
}

// Read returns the verdict on a program that info and file describe, as it is
// without settings in the environment.
func Read(info *debug.BuildInfo, file io.ReaderAt) Verdict {
	p := Program{GoVersion: info.GoVersion}
	p.take(info)
	if followed(p.GOARCH) {
		p.scan(func() ([]Function, error) { return Scan(file) })
	}
	return Judge(p)
}

// take takes over what the build says.
func (p *Program) take(info *debug.BuildInfo) {
	p.Modules, p.main = append(slices.Clone(info.Deps), &info.Main), &info.Main
	for _, s := range info.Settings {
		switch s.Key {
		case "DefaultGODEBUG":
			p.GODEBUG = s.Value
		case "GOARCH":
			p.GOARCH = s.Value
		case "-buildmode":
			p.library = s.Value == "c-shared" || s.Value == "plugin"
		}
	}
}

// followed reports whether the runtime follows frame pointers on an
// architecture.
func followed(goarch string) bool { return goarch == "amd64" || goarch == "arm64" || goarch == "" }

// Judge returns the verdict on a program.
func Judge(p Program) Verdict {
	v := Verdict{Status: Safe, GoVersion: p.GoVersion, GOARCH: p.GOARCH, Functions: []Culprit{}, Advice: []string{}}
	for _, f := range p.Functions {
		v.Functions = append(v.Functions, p.culprit(f))
	}
	switch {
	case !followed(p.GOARCH):
		v.Reason = "the runtime does not follow frame pointers on " + p.GOARCH
	case isOff(p.GODEBUG):
		v.Reason = "GODEBUG=" + setting + "=1 keeps the tracer from following frame pointers"
	case len(v.Functions) > 0 || isBroken(p.GoVersion):
		v.Status = Unsafe
		v.explain(isBroken(p.GoVersion))
	case p.Err != nil:
		v.Status, v.Reason, v.Advice = Undecided, fmt.Sprintf("it cannot be told whether assembly spoils the frame pointer: %v", p.Err), []string{adviseOff}
	default:
		v.Reason = "no assembly spoils the frame pointer"
	}
	return v
}

// explain gives the reasons why a program is not safe and what to do about all of
// them.
func (v *Verdict) explain(broken bool) {
	var reasons, cures []string
	if len(v.Functions) > 0 {
		reasons, cures = append(reasons, spoiledBy(v.Functions)), replace(v.Functions)
	}
	if broken {
		reasons = append(reasons, v.GoVersion+" leaves a wrong frame pointer behind after some recovered panics")
		cures = append(cures, adviseGo)
	}
	v.Reason = strings.Join(reasons, ", and ")
	v.Advice = []string{strings.Join(cures, " and "), adviseOff}
}

// Err returns nil for a program that is safe to trace, and otherwise why it is
// not and what to do.
func (v Verdict) Err() error {
	if v.Status == Safe {
		return nil
	}
	return errors.New("an execution trace could end the process: " + v.Reason + "; to make it safe, " + strings.Join(v.Advice, ", or "))
}

// isOff reports whether the last value of the setting is other than 0.
func isOff(godebug string) (off bool) {
	for field := range strings.SplitSeq(godebug, ",") {
		if value, ok := strings.CutPrefix(field, setting+"="); ok {
			if n, err := strconv.ParseInt(value, 10, 32); err == nil {
				off = n != 0
			}
		}
	}
	return off
}

// isBroken reports whether a version of Go has golang/go#73664: 1.26 before
// 1.26.6, with builds that have a suffix of their own, and what came before 1.27.0.
// Of a development version it is known only what it leads to.
func isBroken(version string) bool {
	_, version, _ = strings.Cut(version, "go1.")
	version, _, _ = strings.Cut(version, " ")
	version, _, suffixed := strings.Cut(version, "-")
	minor, rest, patched := strings.Cut(version, ".")
	if !patched {
		before := suffixed || strings.Contains(minor, "rc") || strings.Contains(minor, "beta")
		return minor == "26" || before && (strings.HasPrefix(minor, "26") || strings.HasPrefix(minor, "27"))
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		rest = rest[:end]
	}
	patch, err := strconv.Atoi(rest)
	return minor == "26" && (err != nil || patch < fixedPatch)
}

// culprit finds the module of a function: by its package, or by the path of its
// file, in the module cache or below vendor.
func (p *Program) culprit(f Function) Culprit {
	c := Culprit{Name: f.Name}
	length := 0
	for _, m := range p.Modules {
		if m.Path == "" || len(m.Path) <= length || !contains(m, f) {
			continue
		}
		length = len(m.Path)
		c.Module, c.Version, c.own = m.Path, m.Version, m == p.main
		if m.Replace != nil && m.Replace.Version != "" {
			c.Module, c.Version = m.Replace.Path, m.Replace.Version
		}
	}
	return c
}

func contains(m *debug.Module, f Function) bool {
	if f.Package != "" {
		return f.Package == m.Path || strings.HasPrefix(f.Package, m.Path+"/")
	}
	return strings.Contains("/"+f.File, "/"+m.Path+"@"+m.Version+"/") || strings.Contains(f.File, "/vendor/"+m.Path+"/")
}

// maxNamed bounds the functions in a sentence.
const maxNamed = 3

func spoiledBy(functions []Culprit) string {
	var names []string
	for _, f := range functions[:min(len(functions), maxNamed)] {
		names = append(names, f.Name)
	}
	text := "assembly spoils the frame pointer in " + strings.Join(names, ", ")
	if more := len(functions) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more functions", more)
	}
	return text
}

// replace returns what to do about functions, maxNamed things at most.
func replace(functions []Culprit) (cures []string) {
	for _, f := range functions {
		sentence := "correct " + f.Name
		if f.Module != "" && !f.own {
			sentence = "replace module " + f.Module
			if f.Version != "" && f.Version != "(devel)" {
				sentence += "@" + f.Version
			}
		}
		if !slices.Contains(cures, sentence) && len(cures) < maxNamed {
			cures = append(cures, sentence)
		}
	}
	return cures
}
