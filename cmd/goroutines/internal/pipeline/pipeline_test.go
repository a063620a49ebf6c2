// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	_ "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif" // has the schema of SARIF
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/report"
)

// sarifSchema returns the JSON schema of SARIF 2.1.0, from the source of a module
// that carries it.
func sarifSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif").Output()
	require.NoError(t, err)
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(dir)), "schema.go"), nil, 0)
	require.NoError(t, err)
	var text string
	ast.Inspect(file, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			text, err = strconv.Unquote(literal.Value)
			require.NoError(t, err)
		}
		return true
	})
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	require.NoError(t, err)
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("sarif.json", schema))
	compiled, err := compiler.Compile("sarif.json")
	require.NoError(t, err)
	return compiled
}

func output(t *testing.T, r *Result, format string) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, r, format))
	return b.String()
}

// faulty is a result with all there can be.
func faulty() *Result {
	r := &Result{SchemaVersion: SchemaVersion, Source: "shop, dump: 100%.txt", Time: time.Date(2026, 11, 27, 9, 0, 0, 5, time.UTC),
		Goroutines: 7, FailOn: "confirmed", Notes: []string{"a note"}, Version: "0.1.0", Incomplete: "line 9: cut off"}
	at := &report.Frame{Function: "example.test/shop.(*Cart).Add", File: "/src/cart, 1.go", Line: 7}
	r.Add("deadlock", "Goroutines that wait for a lock.\nIt does not move.", "", []Finding{
		{Finding: report.Finding{Detector: "deadlock", Confidence: "high", Severity: "error", Message: "100% of 2 goroutines, at <a>: wait", StackID: "0123", State: "sync.Mutex.Lock",
			Evidence: []string{"first\nline", "]]> second \x1b[31m"}, Advice: "Order them.", Count: 2, At: at, Frames: []report.Frame{*at, {Function: "main.main"}}}, Fails: true, File: "cart, 1:a.go", Line: 7},
		{Finding: report.Finding{Detector: "deadlock", Confidence: "certain", Severity: "error", Message: "another", At: at}, Fails: true},
		{Finding: report.Finding{Detector: "deadlock", Confidence: "medium", Severity: "warn", Message: "perhaps"}},
	})
	r.Add("long_wait", "", "", []Finding{{Finding: report.Finding{Detector: "long_wait", Confidence: "info", Severity: "info", Message: "long",
		At: &report.Frame{Function: "main.main", File: `C:/src/a b.go`, Line: 1}}}})
	r.Add("leak", "None leave.", "7 snapshots are needed", nil)
	r.Add("crash", "The process ended.", "", nil)
	return r
}

// sound is the same without a fault.
func sound() *Result {
	r := &Result{SchemaVersion: SchemaVersion, Source: "dump.txt", FailOn: "confirmed", Version: "0.1.0"}
	r.Add("deadlock", "Goroutines that wait for a lock.", "", nil)
	r.Add("leak", "None leave.", "7 snapshots are needed", nil)
	return r
}

func TestStatuses(t *testing.T) {
	r := faulty()
	assert.True(t, r.Failed)
	assert.Equal(t, "failed (1 failed, 1 warned, 1 passed, 1 skipped)", r.Summary())
	assert.Equal(t, []string{Failed, Warned, Skipped, Passed}, []string{r.Rules[0].Status, r.Rules[1].Status, r.Rules[2].Status, r.Rules[3].Status})
	assert.False(t, sound().Failed)
	assert.Equal(t, "passed (1 passed, 1 skipped)", sound().Summary())
	blind := &Result{}
	blind.Add("leak", "", "no IDs", nil)
	assert.Equal(t, "nothing could be judged (1 skipped)", blind.Summary())
}

func TestSARIF(t *testing.T) {
	schema := sarifSchema(t)
	for _, r := range []*Result{faulty(), sound()} {
		text := output(t, r, "sarif")
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		require.NoError(t, err)
		require.NoError(t, schema.Validate(instance))
	}
	bad, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(output(t, sound(), "sarif"), `"2.1.0"`, `"2.0"`, 1)))
	require.NoError(t, err)
	require.Error(t, schema.Validate(bad), "the schema is in use")

	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Name, Version string
					Rules         []struct{ ID string }
				}
			}
			Invocations []struct {
				ExecutionSuccessful        bool
				ToolExecutionNotifications []struct {
					Level   string
					Message struct{ Text string }
				}
			}
			Results []struct {
				RuleID, Level       string
				RuleIndex           int
				Message             struct{ Text string }
				PartialFingerprints map[string]string
				Stacks              []struct{ Frames []any }
				Locations           []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI, URIBaseID string }
						Region           struct{ StartLine int }
					}
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(output(t, faulty(), "sarif")), &log))
	run := log.Runs[0]
	assert.Equal(t, "goroutines", run.Tool.Driver.Name)
	assert.Len(t, run.Tool.Driver.Rules, 4, "also those without findings")
	assert.False(t, run.Invocations[0].ExecutionSuccessful, "not all was read")
	assert.Len(t, run.Invocations[0].ToolExecutionNotifications, 3)
	assert.Equal(t, "leak could not judge: 7 snapshots are needed", run.Invocations[0].ToolExecutionNotifications[1].Message.Text)
	require.Len(t, run.Results, 4)
	first := run.Results[0]
	assert.Equal(t, "deadlock", first.RuleID)
	assert.Equal(t, "error", first.Level)
	assert.Equal(t, "cart,%201:a.go", strings.TrimPrefix(first.Locations[0].PhysicalLocation.ArtifactLocation.URI, "./"))
	assert.Equal(t, "%SRCROOT%", first.Locations[0].PhysicalLocation.ArtifactLocation.URIBaseID)
	assert.Equal(t, 7, first.Locations[0].PhysicalLocation.Region.StartLine)
	assert.Len(t, first.Stacks[0].Frames, 2)
	assert.Equal(t, "deadlock:sync.Mutex.Lock:0123", first.PartialFingerprints["goroutineStack/v1"])
	assert.Equal(t, "file:///src/cart,%201.go", run.Results[1].Locations[0].PhysicalLocation.ArtifactLocation.URI, "outside of the tree")
	assert.Equal(t, "warning", run.Results[2].Level)
	assert.Equal(t, "./shop,%20dump:%20100%25.txt", run.Results[2].Locations[0].PhysicalLocation.ArtifactLocation.URI, "what was checked")
	assert.Equal(t, "note", run.Results[3].Level)
	assert.Equal(t, "file:///C:/src/a%20b.go", run.Results[3].Locations[0].PhysicalLocation.ArtifactLocation.URI)
}

// A testCase is what readers of JUnit XML know.
type testCase struct {
	Name      string   `xml:"name,attr"`
	Failures  []result `xml:"failure"`
	Errors    []result `xml:"error"`
	Skipped   []result `xml:"skipped"`
	SystemOut string   `xml:"system-out"`
}

type result struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

type testSuites struct {
	Suites []struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Errors   int        `xml:"errors,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Stamp    string     `xml:"timestamp,attr"`
		Cases    []testCase `xml:"testcase"`
	} `xml:"testsuite"`
}

func TestJUnit(t *testing.T) {
	var got testSuites
	require.NoError(t, xml.Unmarshal([]byte(output(t, faulty(), "junit")), &got))
	require.Len(t, got.Suites, 1)
	suite := got.Suites[0]
	assert.Equal(t, "shop, dump: 100%.txt", suite.Name)
	assert.Equal(t, "2026-11-27T09:00:00Z", suite.Stamp)
	assert.Equal(t, []int{5, 1, 1, 1}, []int{suite.Tests, suite.Failures, suite.Errors, suite.Skipped})
	deadlock := suite.Cases[0]
	require.Len(t, deadlock.Failures, 1, "readers show only one")
	assert.Equal(t, "100% of 2 goroutines, at <a>: wait (and 1 more)", deadlock.Failures[0].Message)
	assert.Contains(t, deadlock.Failures[0].Text, "at cart, 1:a.go:7\nConfidence: high\nfirst\nline\n]]> second ?[31m\nNext: Order them.")
	assert.Contains(t, deadlock.Failures[0].Text, "another")
	assert.Contains(t, deadlock.SystemOut, "perhaps")
	assert.Empty(t, suite.Cases[1].Failures, "a finding that does not fail")
	assert.Contains(t, suite.Cases[1].SystemOut, "long")
	assert.Equal(t, "7 snapshots are needed", suite.Cases[2].Skipped[0].Message)
	assert.Equal(t, testCase{Name: "crash"}, suite.Cases[3])
	assert.Equal(t, "line 9: cut off", suite.Cases[4].Errors[0].Text)

	got = testSuites{}
	require.NoError(t, xml.Unmarshal([]byte(output(t, sound(), "junit")), &got))
	suite = got.Suites[0]
	assert.Equal(t, []int{2, 0, 0, 1}, []int{suite.Tests, suite.Failures, suite.Errors, suite.Skipped})
}

func TestAnnotations(t *testing.T) {
	assert.Equal(t, `::error file=cart%2C 1%3Aa.go,line=7,title=goroutines%3A deadlock (high)::100%25 of 2 goroutines, at <a>: wait%0Afirst%0Aline%0A]]> second ?[31m%0ANext: Order them.
::error title=goroutines%3A deadlock (certain)::another%0Aat example.test/shop.(*Cart).Add (/src/cart, 1.go:7)
::warning title=goroutines%3A deadlock (medium)::perhaps
::notice title=goroutines%3A long_wait (info)::long%0Aat main.main (C:/src/a b.go:1)
::error title=goroutines::not all of shop, dump: 100%25.txt could be read: line 9: cut off
goroutines check shop, dump: 100%.txt: failed (1 failed, 1 warned, 1 passed, 1 skipped)
`, output(t, faulty(), "github"))
	assert.Equal(t, "goroutines check dump.txt: passed (1 passed, 1 skipped)\n", output(t, sound(), "github"))
}

func TestText(t *testing.T) {
	assert.Equal(t, `dump.txt: passed (1 passed, 1 skipped)
  passed  deadlock
  skipped leak: 7 snapshots are needed
`, output(t, sound(), "text"))
	text := output(t, faulty(), "text")
	assert.Contains(t, text, "  failed  deadlock (high): 100% of 2 goroutines, at <a>: wait\n          at cart, 1:a.go:7\n          first line\n")
	assert.Contains(t, text, "  warned  long_wait (info): long\n")
	assert.Contains(t, text, "Not all of it could be read: line 9: cut off\n")
}

func TestJSON(t *testing.T) {
	var got Result
	require.NoError(t, json.Unmarshal([]byte(output(t, faulty(), "json")), &got))
	want := faulty()
	want.Version = ""
	for i := range want.Rules {
		want.Rules[i].Doc = ""
	}
	assert.Equal(t, want, &got)
}
