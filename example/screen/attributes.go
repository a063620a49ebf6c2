package screen

import (
	"fmt"
	"strconv"
	"strings"

	common "go.opentelemetry.io/proto/otlp/common/v1"
)

func attributesOf(pairs []*common.KeyValue) map[string]string {
	attributes := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		attributes[pair.GetKey()] = text(pair.GetValue())
	}
	return attributes
}

// text formats a value for a person: an array has one line for each element.
func text(value *common.AnyValue) string {
	switch v := value.GetValue().(type) {
	case nil:
		return ""
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(v.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(v.BoolValue)
	case *common.AnyValue_ArrayValue:
		var lines []string
		for _, element := range v.ArrayValue.GetValues() {
			lines = append(lines, text(element))
		}
		return strings.Join(lines, "\n")
	default:
		return fmt.Sprint(value)
	}
}
