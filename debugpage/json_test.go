// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/live"
	"github.com/otelgoroutine/go/internal/report"
)

// objects are the structs of the JSON, by their headings in docs/json.md.
var objects = map[string]any{
	"Report": report.Report{}, "Head": report.Head{}, "Place": report.Place{}, "Diff": report.Diff{}, "data.json": everything{}, "stack.json": live.Detail{},
	"Scheduler": report.Scheduler{}, "Health": report.Health{}, "Check": report.Check{}, "Share": report.Share{}, "Trend": report.Trend{}, "Point": report.Point{},
	"Finding": report.Finding{}, "Participant": report.Participant{}, "Trace": report.Trace{}, "Functions": report.Functions{}, "Function": report.Function{}, "Stack": report.Stack{},
	"Frame": report.Frame{}, "Birth": report.Birth{}, "Label": report.Label{}, "Wait": report.Wait{}, "Filter": report.Filter{}, "Moment": report.Moment{}, "Change": report.Change{}, "StackChange": report.StackChange{},
	"Program": program{}, "History": live.History{}, "LiveStack": live.Group{}, "Event": report.Event{}, "Cost": report.Cost{}, "Skipped": report.Skipped{}, "Skip": report.Skip{}, "Sight": report.Sight{}, "DetectorStatus": report.DetectorStatus{}, "Candidate": report.Candidate{}, "StackHistory": live.GroupHistory{},
	"Counts": Counts{}, "capture": captured{}, "SavedFile": savedFile{},
}

// TestTheJSONIsDocumented compares docs/json.md with the structs, field by
// field in both directions.
func TestTheJSONIsDocumented(t *testing.T) {
	content, err := os.ReadFile("../docs/json.md")
	require.NoError(t, err)
	documented := make(map[string][]string)
	heading := ""
	for line := range strings.Lines(string(content)) {
		if name, ok := strings.CutPrefix(line, "### "); ok {
			heading = strings.TrimSpace(name)
		}
		if row := regexp.MustCompile("^\\| `([a-z_]+|…)` \\| ([^|]+) \\| [^| ].* \\|$").FindStringSubmatch(strings.TrimSpace(line)); row != nil {
			documented[heading] = append(documented[heading], row[1]+" "+row[2])
		}
	}
	names := make(map[reflect.Type]string)
	for name, v := range objects {
		names[reflect.TypeOf(v)] = name
	}
	defined := make(map[string][]string)
	for name, v := range objects {
		defined[name] = fields(t, reflect.TypeOf(v), names)
	}
	assert.Equal(t, defined, documented)
	assert.Contains(t, string(content), "`schema_version` \""+report.SchemaVersion+"\"")
}

// fields returns the names and types of an object's fields. An embedded struct
// stands for its fields; if it has its own heading, it is written as … and its
// name.
func fields(t *testing.T, object reflect.Type, names map[reflect.Type]string) (list []string) {
	for i := range object.NumField() {
		f := object.Field(i)
		if f.Anonymous {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			if name := names[embedded]; name != "" {
				list = append(list, "… "+name)
				continue
			}
			list = append(list, fields(t, embedded, names)...)
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() {
			continue
		}
		require.NotEmpty(t, name, "%s.%s", object, f.Name)
		kind := kindOf(t, f.Type, names)
		if option != "" {
			kind += ", optional"
		}
		list = append(list, name+" "+kind)
	}
	return list
}

func kindOf(t *testing.T, of reflect.Type, names map[reflect.Type]string) string {
	if name := names[of]; name != "" {
		return name
	}
	switch of.Kind() {
	case reflect.Pointer:
		return kindOf(t, of.Elem(), names)
	case reflect.Slice:
		return "list of " + kindOf(t, of.Elem(), names)
	case reflect.Map:
		return "map of " + kindOf(t, of.Elem(), names)
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint64:
		return "integer"
	}
	require.Equal(t, reflect.TypeFor[time.Time](), of, "an object without a heading in docs/json.md")
	return "time"
}
