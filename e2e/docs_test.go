// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"cmp"
	"fmt"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/go/packages"
)

// pages are the documents whose Go code must compile.
var pages = []string{"../README.md", "../docs/*.md", "../docs/runbooks/*.md", "../*/README.md", "../*/*/README.md"}

// imported says what a name in a block stands for, where the block has no import of
// its own.
var imported = map[string]string{
	"bytes": "bytes", "context": "context", "fmt": "fmt", "http": "net/http", "log": "log", "math": "math",
	"os": "os", "signal": "os/signal", "slog": "log/slog", "syscall": "syscall", "testing": "testing", "time": "time",
	"otel":          "go.opentelemetry.io/otel",
	"sdktrace":      "go.opentelemetry.io/otel/sdk/trace",
	"debugpage":     "github.com/otelgoroutine/go/debugpage",
	"detectors":     "github.com/otelgoroutine/go/detectors",
	"detectortest":  "github.com/otelgoroutine/go/detectors/detectortest",
	"goroutine":     "github.com/otelgoroutine/go/goroutine",
	"goroutinetest": "github.com/otelgoroutine/go/goroutinetest",
	"health":        "github.com/otelgoroutine/go/health",
	"otelgoroutine": "github.com/otelgoroutine/go/otelgoroutine",
	"spanlabels":    "github.com/otelgoroutine/go/spanlabels",
}

// given declares what the text around a block takes for granted.
const given = `package page

import (
	"context"
	"io"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/otelgoroutine"
)

var (
	ctx            context.Context
	mux            *http.ServeMux
	debugMux       http.Handler
	meterProvider  metric.MeterProvider
	loggerProvider log.LoggerProvider
	monitor        *otelgoroutine.Monitor
	podName        string
	tenant         string
	bucket         struct{ uploader }
)

type uploader struct{}

func (uploader) Upload(context.Context, string, io.Reader) error { return nil }

func handle(context.Context)                           {}
func requireOperator(h http.Handler) http.Handler      { return h }
func startServer(testing.TB) (address string)          { return "" }
func load(tb testing.TB, address string, _ any)        {}
`

// ambiguous are names that stand for another package on some pages.
var ambiguous = map[string]map[string]string{
	"../docs/live-page.md": {"pprof": "net/http/pprof"},
	"../docs/requests.md":  {"pprof": "runtime/pprof"},
}

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// Every block of Go code in the documents compiles, with what is around it: each page is
// a package, in memory only, and each block a file.
func TestTheCodeOfTheDocuments(t *testing.T) {
	root, err := filepath.Abs("page")
	require.NoError(t, err)
	overlay := make(map[string][]byte)
	var folders []string
	for n, page := range documents(t) {
		folder := filepath.Join(root, fmt.Sprint(n))
		for i, block := range goBlock.FindAllStringSubmatch(string(file(t, page)), -1) {
			if source := sourceOf(t, page, i, block[1]); source != "" {
				overlay[filepath.Join(folder, fmt.Sprintf("block%d.go", i+1))] = []byte("// " + page + "\n" + source)
				overlay[filepath.Join(folder, "given.go")] = []byte(given)
				folders = append(folders, folder)
			}
		}
	}
	assert.Greater(t, len(folders), 20)
	assertCompiles(t, overlay, slices.Compact(folders))
}

// documents returns the pages that there are.
func documents(t *testing.T) (all []string) {
	for _, pattern := range pages {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		all = append(all, found...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	require.Greater(t, len(all), 20)
	return all
}

// sourceOf makes a file of a block: as it is if it consists of declarations, and in a
// function if not. A block that is not of this build is parsed only.
func sourceOf(t *testing.T, page string, i int, block string) string {
	t.Helper()
	block = strings.NewReplacer("(…)", "()", "// …", "").Replace(block)
	if first, _, _ := strings.Cut(block, "\n"); constraint.IsGoBuild(first) {
		_, err := parser.ParseFile(token.NewFileSet(), page, block, parser.AllErrors)
		assert.NoError(t, err)
		return ""
	}
	head, body := cutImports(block)
	for name, path := range merged(imported, ambiguous[page]) {
		if regexp.MustCompile(`\b`+name+`\.`).MatchString(body) && !strings.Contains(head, `"`+path+`"`) {
			head += fmt.Sprintf("import %s %q\n", name, path)
		}
	}
	declared := "package page\n" + head + body
	if _, err := parser.ParseFile(token.NewFileSet(), page, declared, 0); err == nil {
		return declared
	}
	directives, statements := cutDeclarations(body)
	return fmt.Sprintf("package page\n%s\n%s\nfunc block%d() error {\n{\n%s\n}\nreturn nil\n}\n", head, directives, i+1, statements)
}

// cutImports cuts off the imports that a block begins with.
func cutImports(block string) (imports, rest string) {
	for line := range strings.Lines(block) {
		if !strings.HasPrefix(line, "import ") && strings.TrimSpace(line) != "" {
			break
		}
		imports += line
	}
	return imports, block[len(imports):]
}

// cutDeclarations cuts off a variable that the go command embeds a file into, which
// cannot be in a function. The file is not there, so its line is left out.
func cutDeclarations(body string) (declarations, rest string) {
	if !strings.HasPrefix(body, "//go:embed ") {
		return "", body
	}
	_, body, _ = strings.Cut(body, "\n")
	declarations, rest, _ = strings.Cut(body, "\n\n")
	return declarations, rest
}

func merged(all ...map[string]string) map[string]string {
	m := make(map[string]string)
	for _, part := range all {
		maps.Copy(m, part)
	}
	return m
}

// assertCompiles type-checks packages that exist in memory only. A variable that is not
// used is right in a document: what uses it is in the reader's program.
func assertCompiles(t *testing.T, overlay map[string][]byte, folders []string) {
	t.Helper()
	loaded, err := packages.Load(&packages.Config{
		Mode:    packages.NeedName | packages.NeedFiles | packages.NeedTypes | packages.NeedSyntax | packages.NeedImports | packages.NeedDeps | packages.NeedExportFile,
		Overlay: overlay,
	}, folders...)
	require.NoError(t, err)
	require.Len(t, loaded, len(folders))
	files := 0
	for _, p := range loaded {
		files += len(p.Syntax)
		for _, e := range p.Errors {
			if !strings.Contains(e.Msg, "declared and not used") && !strings.Contains(e.Msg, "imported and not used") {
				t.Errorf("%s\n%s", e.Msg, excerpt(overlay, e.Pos))
			}
		}
	}
	assert.Equal(t, len(overlay), files, "every block is a file that was read")
}

// excerpt returns the file that an error is in.
func excerpt(overlay map[string][]byte, position string) string {
	name, _, _ := strings.Cut(position, ".go:")
	return cmp.Or(string(overlay[name+".go"]), position)
}
