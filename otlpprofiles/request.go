package otlpprofiles

import (
	"io"

	"go.opentelemetry.io/otel/attribute"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
	"github.com/otelgoroutine/go/otlpprofiles/internal/attributes"
	"github.com/otelgoroutine/go/otlpprofiles/pprofotlp"
)

// request returns the message for a profile.
func (e *Exporter) request(f *otelgoroutine.File) (*collectorpb.ExportProfilesServiceRequest, error) {
	pprof, err := content(f)
	if err != nil {
		return nil, err
	}
	data, err := pprofotlp.Translate(pprof, pprofotlp.Options{
		ID:         f.ProfileID,
		Time:       f.Time,
		Attributes: attributesOf(f),
		Links:      links(f.Findings),
		Labels:     func(string) bool { return true }, // the monitor's profiles have those of WithLabelKeys only
	})
	if err != nil {
		return nil, err
	}
	resource := data.ResourceProfiles[0]
	resource.Resource = &resourcepb.Resource{Attributes: attributes.Of(e.config.resource.Attributes())}
	resource.SchemaUrl = e.config.resource.SchemaURL()
	return &collectorpb.ExportProfilesServiceRequest{ResourceProfiles: data.ResourceProfiles, Dictionary: data.Dictionary}, nil
}

func content(f *otelgoroutine.File) ([]byte, error) {
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, parse.MaxProfileBytes))
}

// attributesOf returns the attributes of a profile: why it was taken, and the finding that
// it is named after. The events of all findings that it belongs to have its ID.
func attributesOf(f *otelgoroutine.File) []attribute.KeyValue {
	attrs := []attribute.KeyValue{attribute.String(telemetry.AttrProfileCause, string(f.Cause))}
	if f.FindingID == "" {
		return attrs
	}
	return append(attrs,
		attribute.String(telemetry.AttrFindingID, f.FindingID),
		attribute.String(telemetry.AttrDetectorName, f.Detector))
}

// links returns the spans in which goroutines of findings were started, by their stacks.
func links(findings []detectors.Finding) map[goroutine.StackID]pprofotlp.Link {
	all := make(map[goroutine.StackID]pprofotlp.Link)
	for i := range findings {
		f := &findings[i]
		link := linkOf(f.Traces)
		if link == (pprofotlp.Link{}) {
			continue
		}
		for _, p := range f.Participants {
			linkStack(all, p.Stack, link)
		}
		linkStack(all, f.Stack, link)
	}
	return all
}

// linkOf returns the first span of which the trace is known as well. The event of the
// finding has the same one.
func linkOf(traces []detectors.Trace) (link pprofotlp.Link) {
	for _, t := range traces {
		if link = pprofotlp.LinkOf(t.TraceID, t.SpanID); link != (pprofotlp.Link{}) {
			break
		}
	}
	return link
}

// linkStack sets the link of a stack. That of the first finding counts.
func linkStack(all map[goroutine.StackID]pprofotlp.Link, stack *goroutine.Stack, link pprofotlp.Link) {
	if stack == nil || stack.ID == goroutine.OtherStacks {
		return
	}
	if _, linked := all[stack.ID]; !linked {
		all[stack.ID] = link
	}
}
