// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

var update = flag.Bool("update", false, "write the third column of docs/diagnosis.md anew")

const document = "../../docs/diagnosis.md"

// fixture reads a dump of testdata.
func fixture(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		packed, err := os.ReadFile(path + ".gz")
		require.NoError(t, err)
		z, err := gzip.NewReader(bytes.NewReader(packed))
		require.NoError(t, err)
		data, err = io.ReadAll(z)
		require.NoError(t, err)
		return string(data)
	}
	require.NoError(t, err)
	return string(data)
}

func readDump(dump string) (*goroutine.Snapshot, *parse.Details, error) {
	return parse.Read(strings.NewReader(dump), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), parse.NewStacks(), &goroutine.Births{})
}

func snapshotOf(t *testing.T, dump string) (*goroutine.Snapshot, *parse.Details) {
	t.Helper()
	s, details, err := readDump(dump)
	require.NoError(t, err)
	return s, details
}

// diagnose returns what is said about a dump.
func diagnose(t *testing.T, dump string) []detectors.Finding {
	t.Helper()
	s, details := snapshotOf(t, dump)
	return Of(s, details, nil, detectors.NewPass([]*goroutine.Snapshot{s}).Known)
}

// told returns the confidence and the messages of the two foremost findings with at least
// medium, or else of the first one that is not only about how the dump was asked for.
func told(findings []detectors.Finding) string {
	var messages []string
	for _, f := range findings {
		if f.Confidence >= detectors.Medium && len(messages) < 2 {
			messages = append(messages, f.Confidence.String()+": "+f.Message)
		}
	}
	if len(messages) == 0 && len(findings) > 0 {
		f := findings[min(len(findings)-1, 1)]
		messages = []string{f.Confidence.String() + ": " + f.Message}
	}
	return strings.ReplaceAll(strings.Join(messages, " "), "github.com/otelgoroutine/go/bench/detection/corpus.", "corpus.")
}

// The table of the document is what the command says.
func TestTheTable(t *testing.T) {
	data, err := os.ReadFile(document)
	require.NoError(t, err)
	lines := strings.Split(string(data), "\n")
	rows, same, inTable := 0, 0, false
	for i, line := range lines {
		cells := strings.Split(line, " | ")
		if strings.HasPrefix(line, "| dump | an expert says") {
			inTable = true
			continue
		}
		if !inTable || len(cells) < 3 || !strings.HasPrefix(line, "| ") {
			continue
		}
		rows++
		name, verdict := strings.TrimPrefix(cells[0], "| "), strings.TrimSuffix(cells[len(cells)-1], " |")
		verdict = strings.TrimPrefix(verdict, "| ") // after an empty third cell
		if verdict == "yes" {
			same++
		}
		want := "| " + name + " | " + cells[1] + " | " + told(diagnose(t, fixture(t, name))) + " | " + verdict + " |"
		if *update {
			lines[i] = want
			continue
		}
		assert.Equal(t, want, line)
	}
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(strings.Join(lines, "\n")), 0o644))
	}
	assert.GreaterOrEqual(t, rows, 20)
	assert.GreaterOrEqual(t, same*10, rows*9, "the same as an expert in at least nine of ten")
}
