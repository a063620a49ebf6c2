package dashboard

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write grafana-dashboard.json anew")

const file = "../grafana-dashboard.json"

func TestTheFileIsGeneratedFromTheCode(t *testing.T) {
	text, err := JSON()
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(file, text, 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(text), "run: go test ./dashboard -update")
}

// The queries are tested by the title of their panel. Each title must therefore
// appear exactly once, in the file and in the result of Queries.
func TestEveryPanelOfTheFileIsTested(t *testing.T) {
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var d struct {
		Panels []struct {
			Type, Title string
			Targets     []struct{ Expr string }
			GridPos     struct{ X, W int }
		}
	}
	require.NoError(t, json.Unmarshal(text, &d))
	inFile := make(map[string][]string)
	for _, p := range d.Panels {
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		if p.Type == "row" {
			continue
		}
		require.NotContains(t, inFile, p.Title)
		for _, target := range p.Targets {
			inFile[p.Title] = append(inFile[p.Title], target.Expr)
		}
	}
	assert.Equal(t, Queries(), inFile)
}
