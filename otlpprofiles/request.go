// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"io"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/otelgoroutine/go/internal/parse"
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
	o := pprofotlp.For(string(f.Cause), f.Findings)
	o.ID, o.Time = f.ProfileID, f.Time
	o.Labels = func(string) bool { return true } // the monitor's snapshots have none but those that are allowed
	data, err := pprofotlp.Translate(pprof, o)
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
