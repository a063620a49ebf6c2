// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package attributes

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pprofile"
	"go.opentelemetry.io/otel/attribute"
	profilespb "go.opentelemetry.io/proto/otlp/profiles/v1development"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"
)

// Every type of value arrives at the Collector as what it is.
func TestValues(t *testing.T) {
	encoded, err := proto.Marshal(&profilespb.ProfilesData{ResourceProfiles: []*profilespb.ResourceProfiles{{
		Resource: &resourcepb.Resource{Attributes: Of([]attribute.KeyValue{
			attribute.Bool("bool", true), attribute.Int64("int", -5), attribute.Float64("float", 1.5), attribute.String("string", "a\xffb"),
			attribute.BoolSlice("bools", []bool{true, false}), attribute.Int64Slice("ints", []int64{1, 2}),
			attribute.Float64Slice("floats", []float64{0.5}), attribute.StringSlice("strings", []string{"x", "\xff"}),
			{Key: "bytes", Value: attribute.ByteSliceValue([]byte{1, 2})},
			{Key: "mixed", Value: attribute.SliceValue(attribute.IntValue(1), attribute.StringValue("y"))},
			{Key: "map", Value: attribute.MapValue(attribute.Int("one", 1))},
			{Key: "empty"},
		})},
	}}})
	require.NoError(t, err)
	got, err := (&pprofile.ProtoUnmarshaler{}).UnmarshalProfiles(encoded)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"bool": true, "int": int64(-5), "float": 1.5, "string": "a\uFFFDb",
		"bools": []any{true, false}, "ints": []any{int64(1), int64(2)}, "floats": []any{0.5}, "strings": []any{"x", "\uFFFD"},
		"bytes": []byte{1, 2}, "mixed": []any{int64(1), "y"}, "map": map[string]any{"one": int64(1)}, "empty": nil,
	}, got.ResourceProfiles().At(0).Resource().Attributes().AsRaw())
}
