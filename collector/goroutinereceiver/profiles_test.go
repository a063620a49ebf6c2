// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pprofile"

	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// A profileSink keeps profiles, or refuses them.
type profileSink struct {
	mu      sync.Mutex
	all     []pprofile.Profiles
	refusal error
}

func (p *profileSink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (p *profileSink) ConsumeProfiles(_ context.Context, data pprofile.Profiles) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal == nil {
		p.all = append(p.all, data)
	}
	return p.refusal
}

func (p *profileSink) answer(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refusal = err
}

// A sentProfile is what tests ask of a profile.
type sentProfile struct {
	id, cause  string
	at         time.Time
	goroutines int64
	resource   map[string]any
}

func (p *profileSink) sent() (all []sentProfile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, data := range p.all {
		of := data.ResourceProfiles().At(0)
		one := of.ScopeProfiles().At(0).Profiles().At(0)
		id := one.ProfileID()
		s := sentProfile{id: hex.EncodeToString(id[:]), at: one.Time().AsTime(), resource: of.Resource().Attributes().AsRaw()}
		for _, at := range one.AttributeIndices().All() {
			kv := data.Dictionary().AttributeTable().At(int(at))
			if data.Dictionary().StringTable().At(int(kv.KeyStrindex())) == telemetry.AttrProfileCause {
				s.cause = kv.Value().Str()
			}
		}
		for _, sample := range one.Samples().All() {
			for _, n := range sample.Values().All() {
				s.goroutines += n
			}
		}
		all = append(all, s)
	}
	return all
}

// The event of a finding has the ID of a profile that has arrived before it, with the same
// resource and with all goroutines.
func TestTheProfileOfAFinding(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	h := begin(t, values{"targets": []any{listedAs(p.address, "shop")}})
	eventually(t, "a deadlock is detected", func() bool { return len(h.Events("goroutine.deadlock.detected")) > 0 })
	event := otlptest.Attribute(h.Events("goroutine.deadlock.detected")[0].Attributes(), telemetry.AttrProfileID)
	var found *sentProfile
	for _, sent := range h.profiles.sent() {
		assert.Equal(t, causeFinding, sent.cause, "none is periodic by default")
		if sent.id == event {
			found = &sent
		}
	}
	require.NotNil(t, found, "no profile has the ID of the event, %s", event)
	assert.GreaterOrEqual(t, found.goroutines, int64(11))
	assert.Equal(t, h.resources()[0], found.resource)
	assert.WithinDuration(t, time.Now(), found.at, time.Hour)
}

// Profiles at an interval come without a finding.
func TestPeriodicProfiles(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	h := begin(t, values{"targets": []any{listedAs(p.address, "shop")}, "profile_interval": "100ms", "known_stacks": "testdata/known.json"})
	eventually(t, "three", func() bool {
		n := 0
		for _, sent := range h.profiles.sent() {
			if sent.cause == causePeriodic {
				n++
			}
		}
		return n >= 3
	})
}

// A profile that is refused is lost, counted and told, and the event comes all the same.
func TestRefusedProfiles(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	h := new(harness)
	h.profiles.answer(errors.New("no room"))
	h.begin(t, values{"targets": []any{listedAs(p.address, "shop")}})
	eventually(t, "an event", func() bool { return len(h.Events("goroutine.blocked_forever.detected")) > 0 })
	eventually(t, "it is told", func() bool { return h.told("data of target is not accepted", "no room") })
	eventually(t, "it is counted", func() bool {
		_, err := h.metrics.GetMetric("otelcol_goroutine_receiver_profiles_dropped")
		return err == nil
	})
	assert.Empty(t, h.profiles.sent())
}
