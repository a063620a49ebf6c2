// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

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
		"an unknown creator":         {detectors.Exclusion{Creator: "m*"}, "", nil, false},
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

}

// A list that is wrong says where, and what is accepted.
func TestBadListsOfExclusionsSayWhatIsWrong(t *testing.T) {
	entry := func(fields string) string {
		return `{"exclusions":[` + "\n" + `{"name":"a","reason":"r",` + fields + "}]}"
	}
	good := entry(`"waits":"f"`)
	for want, bad := range map[string]string{
		`entry 0 ("x", line 2): unknown field "wiats"; accepted: name, reason`:         "{\"exclusions\":[\n{\"wiats\":1,\n\"name\":\"x\"}]}",
		`entry 0 ("a", line 2): the field "waits" is of type number; must be a string`: entry(`"waits":3`),
		`entry 0 ("a", line 2): the field "owned" is of type string; must be true or`:  entry(`"owned":"yes"`),
		`entry 1 ("", line 1): it is of type number; must be an object`:                `{"exclusions":[{"name":"a","reason":"r","waits":"f"},1]}`,
		`unknown field "exclusion"; accepted: exclusions`:                              `{"exclusion":[]}`,
		`the field "exclusions" is of type object; must be an array`:                   `{"exclusions":{}}`,
		`it is of type array; must be an object`:                                       `[]`,
		`entry 2, line 3, byte 59: invalid character`:                                  "{\"exclusions\":[{\"name\":\"a\",\"reason\":\"r\",\"waits\":\"f\"},\n{},\n,]}",
		`entry 0, line 2, byte 25: unexpected end of JSON input`:                       "{\"exclusions\":[\n{\"name\":\"",
		`line 4, byte 58: invalid character '{' after top-level value`:                 good + "\n\n{}",
		`unexpected end of JSON input`:                                                 "",
		`entry 1 ("b", line 1): it has no reason`:                                      `{"exclusions":[{"name":"a","reason":"r","waits":"f"},{"name":"b","waits":"f"}]}`,
		`entry 0 ("", line 1): it has no name`:                                         `{"exclusions":[{"reason":"r","waits":"f"}]}`,
		`entry 0 ("a", line 2): it has no condition`:                                   entry(`"owned":true`),
		`the label is "=v"; must be key=value`:                                         entry(`"label":"=v"`),
		`entry 2 ("a", line 3): entry 0 has the same name; names must differ`:          "{\"exclusions\":[{\"name\":\"a\",\"reason\":\"r\",\"waits\":\"f\"},\n{\"name\":\"b\",\"reason\":\"r\",\"waits\":\"f\"},\n{\"name\":\"a\",\"reason\":\"s\",\"waits\":\"g\"}]}",
		`waits is "*", which matches every function`:                                   entry(`"waits":"*"`),
		`function is "*.run"; a * is accepted at the end only`:                         entry(`"function":"*.run"`),
		`started is "main.*.run*"; a * is accepted at the end only`:                    entry(`"started":"main.*.run*"`),
		`creator is "main.**"; a * is accepted at the end only`:                        entry(`"creator":"main.**"`),
		`there are 1001 entries; at most 1000 are`:                                     `{"exclusions":[` + strings.Repeat("{},", 1000) + `{}]}`,
		`it is larger than 1 MiB; at most 1 MiB is accepted`:                           `{"exclusions":[{"name":"` + strings.Repeat("a", 2<<20),
	} {
		_, err := detectors.ReadExclusions(strings.NewReader(bad))
		assert.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, "list of exclusions: ")
	}
	for _, good := range []string{good, good + "\n", entry(`"waits":"main.(*T).run"`), entry(`"creator":"main.(*T).*"`), `{"exclusions":[]}`,
		good + strings.Repeat(" ", 1<<20-len(good))} {
		_, err := detectors.ReadExclusions(strings.NewReader(good))
		assert.NoError(t, err)
	}
}
