// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package deps tests which packages import which.
package deps

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/otelgoroutine/go"

// allowed lists which packages of this module each of its packages may import.
// Imports go one way. A package without an entry fails the test, so that its
// place is decided when it is made.
var allowed = map[string][]string{
	"goroutine":              {},
	"internal/lockcode":      {"goroutine", "internal/framepointer"},
	"internal/parse":         {"goroutine", "internal/lockcode"},
	"internal/framepointer":  {},
	"internal/capture":       {"goroutine", "internal/framepointer", "internal/lockcode", "internal/parse"},
	"internal/places":        {"goroutine"},
	"internal/pairing":       {},
	"internal/sockets":       {"goroutine"},
	"internal/words":         {},
	"detectors":              {"goroutine", "internal/pairing", "internal/places", "internal/words"},
	"internal/engine":        {"goroutine", "detectors", "internal/pairing", "internal/words"},
	"detectors/detectortest": {"goroutine", "detectors", "internal/engine"},
	"internal/telemetry":     {"goroutine", "detectors"},
	"internal/sight":         {"goroutine", "detectors", "internal/words"},
	"internal/diagnosis":     {"goroutine", "detectors", "internal/parse", "internal/words"},
	"internal/report":        {"goroutine", "detectors", "internal/sight", "internal/words"},
	"internal/live":          {"goroutine", "internal/report"},
	"internal/source":        {"goroutine", "internal/parse"}, // for processes outside: the command and the Collector's receiver
	"internal/observe":       {"goroutine", "detectors", "internal/engine", "internal/report", "internal/sight", "internal/source", "internal/telemetry"},
	"internal/webui":         {},
	"internal/htmlreport":    {"internal/report", "internal/webui"},
	"internal/deps":          {},
	"internal/pictures":      {},
	"internal/realprograms":  {},
	"spanlabels":             {},
	"internal/hosttest":      {},
	"otelgoroutine": {
		"goroutine", "detectors", "internal/parse", "internal/capture", "internal/engine",
		"internal/telemetry", "internal/sight", "internal/sockets", "internal/report", "internal/words",
	},
	"auto":          {"otelgoroutine"},
	"auto/otelc":    {"auto"},
	"health":        {"otelgoroutine"},
	"goroutinetest": {"otelgoroutine", "goroutine", "detectors", "internal/parse", "internal/words"}, // imports testing: nothing imports it
	"debugpage":     {"otelgoroutine", "goroutine", "internal/capture", "internal/live", "internal/parse", "internal/report", "internal/sight", "internal/webui"},
}

// forbidden lists the packages that must not come with otelgoroutine, each with
// all below it, and why.
var forbidden = map[string]string{
	"go.opentelemetry.io/otel/sdk":       "the service brings its own SDK; a library depends on the API",
	"go.opentelemetry.io/otel/exporters": "the service chooses its exporters",
	"google.golang.org/grpc":             "megabytes of code for a service that exports over HTTP",
	"google.golang.org/protobuf":         "comes with exporters only",
	"net/http/pprof":                     "registers handlers; net/http itself comes with the OTel API's propagators",
	"html/template":                      "reflection over method names keeps the linker from removing dead code",
	"text/template":                      "as html/template",
	"testing":                            "registers flags in the host",
	"github.com/stretchr/testify":        "for tests",
	"go.uber.org/goleak":                 "for tests",
	"golang.org/x/exp/trace":             "the decoder is our own; this one checks it in tests",
	"os/signal":                          "starts a goroutine and takes over signals",
	"expvar":                             "registers a handler and publishes globals",
	"plugin":                             "turns off dead code elimination",
}

// modules lists the modules that may come with otelgoroutine.
var modules = []string{
	module,
	"github.com/cespare/xxhash/v2", // of attribute.Set in the OTel API
	"github.com/go-logr/logr",      // of the OTel API
	"github.com/go-logr/stdr",      // of the OTel API
	"github.com/google/pprof",
	"go.opentelemetry.io/auto/sdk", // of the OTel API: a hook for eBPF agents, not the SDK
	"go.opentelemetry.io/otel",
	"go.opentelemetry.io/otel/log",
	"go.opentelemetry.io/otel/metric",
	"go.opentelemetry.io/otel/trace",
	"golang.org/x/arch", // decodes the machine code of internal/framepointer
	"golang.org/x/sys",
}

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Module"}, args...)...)
	cmd.Dir = filepath.Join("..", "..")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		all = append(all, p)
	}
}

func TestImportsGoOneWay(t *testing.T) {
	packages := list(t, module+"/...")
	require.NotEmpty(t, packages)
	for _, p := range packages {
		if p.Module == nil || p.Module.Path != module {
			continue // a nested module has rules of its own
		}
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		may, known := allowed[name]
		if !known {
			t.Errorf("%s must have an entry in the table of allowed imports", name)
			continue
		}
		for _, i := range p.Imports {
			if rest, ours := strings.CutPrefix(i, module+"/"); ours && !slices.Contains(may, rest) {
				t.Errorf("%s must not import %s", name, rest)
			}
		}
	}
}

func TestModelNeedsTheStandardLibraryOnly(t *testing.T) {
	for _, p := range list(t, "-deps", module+"/goroutine", module+"/detectors") {
		if !p.Standard && !strings.HasPrefix(p.ImportPath, module) {
			t.Errorf("the data model and the detectors' contract pull in %s", p.ImportPath)
		}
	}
}

func TestBudget(t *testing.T) {
	for _, p := range list(t, "-deps", module+"/otelgoroutine", module+"/spanlabels") {
		for path, why := range forbidden {
			if p.ImportPath == path || strings.HasPrefix(p.ImportPath, path+"/") {
				t.Errorf("otelgoroutine pulls in %s: %s", p.ImportPath, why)
			}
		}
		if p.Module != nil && !slices.Contains(modules, p.Module.Path) {
			t.Errorf("otelgoroutine pulls in module %s (%s), which is not in the budget", p.Module.Path, p.ImportPath)
		}
	}
}
