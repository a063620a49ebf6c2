package main

import (
	"cmp"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A report is one run of this program.
type report struct {
	Machine machine   `json:"machine"`
	Started time.Time `json:"started"`
	Results []result  `json:"results"`
	Checks  []verdict `json:"checks"`
}

// A machine is where it ran, and with which versions of what it compares.
type machine struct {
	Go      string            `json:"go"`
	System  string            `json:"system"`
	CPU     string            `json:"cpu"` // the model; "" when unknown
	Cores   int               `json:"cores"`
	Modules map[string]string `json:"modules"` // version by path
}

// A result is what was measured in one scenario.
type result struct {
	scenario
	Doc        string     `json:"doc"`
	Note       string     `json:"note,omitempty"`
	TraceBytes int64      `json:"trace_bytes"`
	Methods    []measured `json:"methods"`
}

// measured is what one method cost, a sample a round.
type measured struct {
	Name    string   `json:"name"`
	Samples []sample `json:"samples"`
}

// method returns the samples of a method, or nil.
func (r *result) method(name string) *measured {
	for i := range r.Methods {
		if r.Methods[i].Name == name && len(r.Methods[i].Samples) > 0 {
			return &r.Methods[i]
		}
	}
	return nil
}

// The figures of a sample.
func wall(s sample) time.Duration  { return s.Wall }
func cpu(s sample) time.Duration   { return s.CPU }
func stop(s sample) time.Duration  { return s.Stop }
func delay(s sample) time.Duration { return s.Delay }
func allocated(s sample) int64     { return s.Allocated }
func memory(s sample) int64        { return s.Memory }

// spread is a figure over the rounds.
type spread[T cmp.Ordered] struct{ least, median, most T }

// spreadOf returns the spread of a figure. Of an even number of samples, the
// upper of the middle two is the median. m must have samples.
func spreadOf[T cmp.Ordered](m *measured, figure func(sample) T) spread[T] {
	values := make([]T, len(m.Samples))
	for i, s := range m.Samples {
		values[i] = figure(s)
	}
	slices.Sort(values)
	return spread[T]{values[0], values[len(values)/2], values[len(values)-1]}
}

// ratio returns by how much the median of a figure is larger in m than in
// base; 0 when it cannot be told.
func ratio(m, base *measured, figure func(sample) time.Duration) float64 {
	if m == nil || base == nil {
		return 0
	}
	of := spreadOf(base, figure).median
	if of <= 0 {
		return 0
	}
	return float64(spreadOf(m, figure).median) / float64(of)
}

// compared are the modules whose versions a reader needs.
var compared = []string{"github.com/google/pprof", "github.com/DataDog/gostackparse", "golang.org/x/exp"}

func thisMachine() machine {
	m := machine{
		Go:      runtime.Version(),
		System:  runtime.GOOS + "/" + runtime.GOARCH,
		CPU:     cpuModel(),
		Cores:   runtime.NumCPU(),
		Modules: make(map[string]string),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if slices.Contains(compared, d.Path) {
				m.Modules[d.Path] = d.Version
			}
		}
	}
	return m
}

// cpuModel returns what Linux calls the first core, elsewhere "".
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
