package receiver_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/otelgoroutine/go/example/receiver"
)

var (
	traceID = []byte{0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c}
	spanID  = []byte{0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74}
)

func textValue(s string) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: s}}
}

func intValue(i int64) *common.AnyValue {
	return &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: i}}
}

// metricsRequest has everything in it that OTLP JSON writes its own way: IDs,
// enums and 64-bit integers.
func metricsRequest() *colmetrics.ExportMetricsServiceRequest {
	sum := &metrics.Sum{
		AggregationTemporality: metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
		DataPoints: []*metrics.NumberDataPoint{{
			TimeUnixNano: 1800000000123456789,
			Value:        &metrics.NumberDataPoint_AsInt{AsInt: 1 << 60},
			Attributes:   []*common.KeyValue{{Key: "goroutine.detailed_state", Value: textValue("select <&> \u2028")}},
			Exemplars:    []*metrics.Exemplar{{TraceId: traceID, SpanId: spanID}},
		}},
	}
	metric := &metrics.Metric{Name: "goroutine.count", Data: &metrics.Metric_Sum{Sum: sum}}
	return &colmetrics.ExportMetricsServiceRequest{ResourceMetrics: []*metrics.ResourceMetrics{{
		Resource:     &resource.Resource{Attributes: []*common.KeyValue{{Key: "service.name", Value: textValue("s")}}},
		ScopeMetrics: []*metrics.ScopeMetrics{{Metrics: []*metrics.Metric{metric}}},
	}}}
}

// logsRequest has attributes that are called as ID fields are, and bytes that
// stay base64.
func logsRequest() *collogs.ExportLogsServiceRequest {
	nested := &common.AnyValue{Value: &common.AnyValue_KvlistValue{KvlistValue: &common.KeyValueList{
		Values: []*common.KeyValue{{Key: "spanId", Value: textValue("AAAA")}},
	}}}
	ids := &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: &common.ArrayValue{
		Values: []*common.AnyValue{intValue(18), intValue(19)},
	}}}
	record := &logs.LogRecord{
		EventName:      "goroutine.leak.detected",
		SeverityNumber: logs.SeverityNumber_SEVERITY_NUMBER_WARN,
		TraceId:        traceID,
		SpanId:         spanID,
		Body:           textValue("first line\nsecond line"),
		Attributes: []*common.KeyValue{
			{Key: "traceId", Value: textValue("AAAA")},
			{Key: "nested", Value: nested},
			{Key: "goroutine.ids", Value: ids},
			{Key: "bytes", Value: &common.AnyValue{Value: &common.AnyValue_BytesValue{BytesValue: []byte{0xff, 0}}}},
		},
	}
	return &collogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{
		ScopeLogs: []*logs.ScopeLogs{{LogRecords: []*logs.LogRecord{record}}},
	}}}
}

func TestMarshalJSONFollowsTheRulesOfOTLP(t *testing.T) {
	line, err := receiver.MarshalJSON(logsRequest())
	require.NoError(t, err)
	assert.JSONEq(t, `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{
		"eventName": "goroutine.leak.detected",
		"severityNumber": 13,
		"traceId": "5b8efff798038103d269b633813fc60c",
		"spanId": "eee19b7ec3c1b174",
		"body": {"stringValue": "first line\nsecond line"},
		"attributes": [
			{"key": "traceId", "value": {"stringValue": "AAAA"}},
			{"key": "nested", "value": {"kvlistValue": {"values": [{"key": "spanId", "value": {"stringValue": "AAAA"}}]}}},
			{"key": "goroutine.ids", "value": {"arrayValue": {"values": [{"intValue": "18"}, {"intValue": "19"}]}}},
			{"key": "bytes", "value": {"bytesValue": "/wA="}}
		]}]}]}]}`, string(line))
}

// The Collector's own reader is the judge of whether this is OTLP JSON.
func TestMarshalJSONIsReadByTheCollector(t *testing.T) {
	line, err := receiver.MarshalJSON(metricsRequest())
	require.NoError(t, err)
	readMetrics, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(line)
	require.NoError(t, err)
	back, err := pmetricotlp.NewExportRequestFromMetrics(readMetrics).MarshalProto()
	require.NoError(t, err)
	var metricsBack colmetrics.ExportMetricsServiceRequest
	require.NoError(t, proto.Unmarshal(back, &metricsBack))
	assert.Equal(t, normal(t, metricsRequest()), normal(t, &metricsBack))

	line, err = receiver.MarshalJSON(logsRequest())
	require.NoError(t, err)
	readLogs, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(line)
	require.NoError(t, err)
	back, err = plogotlp.NewExportRequestFromLogs(readLogs).MarshalProto()
	require.NoError(t, err)
	var logsBack collogs.ExportLogsServiceRequest
	require.NoError(t, proto.Unmarshal(back, &logsBack))
	assert.Equal(t, normal(t, logsRequest()), normal(t, &logsBack))
}

// normal drops the empty resource and scope that the Collector adds.
func normal(t *testing.T, m proto.Message) string {
	t.Helper()
	line, err := receiver.MarshalJSON(m)
	require.NoError(t, err)
	return strings.NewReplacer(`,"resource":{}`, "", `,"scope":{}`, "", `"resource":{},`, "", `"scope":{},`, "").Replace(string(line))
}

func TestFileAppendsLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "otlp.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("{\"resourceSpans\":[]}\n"), 0o600))
	file, err := receiver.OpenFile(path)
	require.NoError(t, err)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for range 25 {
				file.Metrics(metricsRequest())
				file.Logs(logsRequest())
			}
		})
	}
	writers.Wait()
	assert.Equal(t, 400, file.Lines())
	require.NoError(t, file.Close())

	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.HasSuffix(content, []byte("\n")))
	kinds := make(map[string]int)
	for line := range bytes.Lines(content) {
		var object map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(line, &object), "%s", line)
		require.Len(t, object, 1)
		for key := range object {
			kinds[key]++
		}
	}
	assert.Equal(t, map[string]int{"resourceSpans": 1, "resourceMetrics": 200, "resourceLogs": 200}, kinds)
}

func TestFileKeepsTheFirstError(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/full is Linux's")
	}
	file, err := receiver.OpenFile("/dev/full")
	require.NoError(t, err)
	file.Metrics(metricsRequest())
	file.Logs(logsRequest())
	assert.Zero(t, file.Lines())
	err = file.Close()
	require.Error(t, err)
	assert.Contains(t, err.Error(), "line 1:")
	assert.Contains(t, err.Error(), "no space left")
}

func TestOpenFileSaysWhatIsWrong(t *testing.T) {
	_, err := receiver.OpenFile(filepath.Join(t.TempDir(), "missing", "otlp.jsonl"))
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.Contains(t, err.Error(), "missing")
}
