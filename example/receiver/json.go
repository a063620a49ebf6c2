package receiver

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// MarshalJSON returns an OTLP message as one line of OTLP JSON, with a line
// feed at its end: the mapping of Protocol Buffers to JSON, except that enums
// are integers, and trace and span IDs hexadecimal instead of base64. See
// https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and, for
// the lines, https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/.
func MarshalJSON(m proto.Message) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("OTLP JSON: %w", err)
	}
	var doc any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&doc); err != nil {
		return nil, fmt.Errorf("OTLP JSON: %w", err)
	}
	if err := hexIDs(doc); err != nil {
		return nil, fmt.Errorf("OTLP JSON: %w", err)
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	err = encoder.Encode(doc)
	return line.Bytes(), err
}

// idFields are the fields of OTLP that hold an ID. No attribute can be taken
// for one: its key is a value in OTLP, not a field name.
var idFields = map[string]bool{"traceId": true, "spanId": true, "parentSpanId": true}

func hexIDs(node any) error {
	switch node := node.(type) {
	case []any:
		for _, element := range node {
			if err := hexIDs(element); err != nil {
				return err
			}
		}
	case map[string]any:
		return hexIDsOfObject(node)
	}
	return nil
}

func hexIDsOfObject(object map[string]any) error {
	for name, value := range object {
		text, isText := value.(string)
		if !isText || !idFields[name] {
			if err := hexIDs(value); err != nil {
				return err
			}
			continue
		}
		id, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		object[name] = hex.EncodeToString(id)
	}
	return nil
}
