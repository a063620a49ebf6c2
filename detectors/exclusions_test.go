package detectors_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

func TestExclusionsMatch(t *testing.T) {
	stack := detectortest.At(goroutine.Select, "runtime.gopark", "lib.(*Queue).Pop", "main.serve.func1").Stack
	for name, tc := range map[string]struct {
		x       detectors.Exclusion
		creator string
		labels  []goroutine.Label
		want    bool
	}{
		"a function":                 {detectors.Exclusion{Function: "lib.(*Queue).Pop"}, "", nil, true},
		"another function":           {detectors.Exclusion{Function: "lib.(*Queue).Push"}, "", nil, false},
		"part of a name":             {detectors.Exclusion{Function: "lib.(*Queue)"}, "", nil, false},
		"the start of a name":        {detectors.Exclusion{Function: "lib.(*Queue).*"}, "", nil, true},
		"where it waits":             {detectors.Exclusion{Waits: "lib.(*Queue).Pop"}, "", nil, true},
		"further up":                 {detectors.Exclusion{Waits: "main.serve.func1"}, "", nil, false},
		"the start":                  {detectors.Exclusion{Started: "main.serve.*"}, "", nil, true},
		"not the start":              {detectors.Exclusion{Started: "lib.(*Queue).Pop"}, "", nil, false},
		"both":                       {detectors.Exclusion{Waits: "lib.*", Started: "main.*"}, "", nil, true},
		"one of two":                 {detectors.Exclusion{Waits: "lib.*", Started: "other.*"}, "", nil, false},
		"a creator":                  {detectors.Exclusion{Creator: "main.serve"}, "main.serve", nil, true},
		"another creator":            {detectors.Exclusion{Creator: "main.serve"}, "main.main", nil, false},
		"an unknown creator":         {detectors.Exclusion{Creator: "*"}, "", nil, false},
		"a creator, another place":   {detectors.Exclusion{Creator: "main.serve", Waits: "main.f"}, "main.serve", nil, false},
		"a label":                    {detectors.Exclusion{Label: "tenant=a"}, "", []goroutine.Label{{Key: "x", Value: "a"}, {Key: "tenant", Value: "a"}}, true},
		"a label with another value": {detectors.Exclusion{Label: "tenant=a"}, "", []goroutine.Label{{Key: "tenant", Value: "b"}}, false},
		"a label with any value":     {detectors.Exclusion{Label: "tenant"}, "", []goroutine.Label{{Key: "tenant", Value: "b"}}, true},
		"no labels":                  {detectors.Exclusion{Label: "tenant"}, "", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			tc.x.Name, tc.x.Reason = "mine", "a test"
			k, err := tc.x.Known()
			require.NoError(t, err)
			assert.Equal(t, tc.want, k.Covers(stack, tc.creator, tc.labels))
			assert.Equal(t, tc.x.Creator == "" && tc.x.Label == "", k.Unconditional())
		})
	}
}

// A list survives being written and read.
func TestExclusionsAreShared(t *testing.T) {
	list := detectors.ExclusionList{Exclusions: []detectors.Exclusion{
		{Name: "janitors", Reason: "one per cache, which is kept", Started: "lib.(*Cache).janitor", Owned: true},
		{Name: "sync jobs", Reason: "they wait for the night", Creator: "main.(*scheduler).add", Label: "job=sync"},
	}}
	data, err := json.Marshal(list)
	require.NoError(t, err)
	known, err := detectors.ReadExclusions(strings.NewReader(string(data)))
	require.NoError(t, err)
	require.Len(t, known, 2)
	assert.True(t, known[0].Owned)
	assert.True(t, known[0].Match(detectortest.At(goroutine.Select, "lib.(*Cache).janitor:1").Stack))
	assert.Equal(t, goroutine.Label{Key: "job", Value: "sync"}, known[1].Label)
	assert.Nil(t, known[1].Match)

	for want, bad := range map[string]string{
		`unknown field "nme"`:                      `{"exclusions":[{"nme":"x"}]}`,
		`entry 1 ("b"): it has no reason`:          `{"exclusions":[{"name":"a","reason":"r","waits":"f"},{"name":"b","waits":"f"}]}`,
		`entry 0 (""): it has no name`:             `{"exclusions":[{"reason":"r","waits":"f"}]}`,
		`entry 0 ("a"): it has no condition`:       `{"exclusions":[{"name":"a","reason":"r","owned":true}]}`,
		`the label is "=v"; must be key=value`:     `{"exclusions":[{"name":"a","reason":"r","label":"=v"}]}`,
		`there are 1001 entries; at most 1000 are`: `{"exclusions":[` + strings.Repeat("{},", 1000) + `{}]}`,
		"unexpected EOF":                           `{"exclusions":[{"name":"` + strings.Repeat("a", 2<<20),
	} {
		_, err := detectors.ReadExclusions(strings.NewReader(bad))
		assert.ErrorContains(t, err, want)
	}
}
