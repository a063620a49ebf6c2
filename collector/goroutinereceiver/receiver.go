// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/discovery"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/source"
)

// patience is how long Shutdown waits at most, whatever its context says.
const patience = 10 * time.Second

// settingNames are the names of the settings, for errors about targets.
var settingNames = source.Settings{
	Timeout:     "timeout",
	Login:       "auth and headers",
	Trust:       "tls: ca_file, server_name_override, insecure_skip_verify",
	Certificate: "tls: cert_file, key_file",
	MaxSize:     "max_snapshot_size",
	Endpoint:    "page:",
	Dump:        "page: dump",
	Proxy:       "proxy_url, HTTP_PROXY or HTTPS_PROXY",
}

// A goroutineReceiver observes the targets of a configuration.
type goroutineReceiver struct {
	settings receiver.Settings
	config   *Config
	next     next

	own        *ownTelemetry
	translator *translator
	detectors  []*detectors.Detector
	known      []detectors.KnownStack
	reader     *source.Reader
	client     *http.Client
	slots      *slots
	report     func(*componentstatus.Event)

	cancel  context.CancelFunc // ends everything; nil before the start
	running sync.WaitGroup

	byState [len(states)]atomic.Int64 // targets
	refused atomic.Int64              // targets beyond max_targets

	mu      sync.Mutex
	targets map[string]*target // by spec.name

	status sync.Mutex
	blind  bool // the status says that no target can be reached
}

func newReceiver(set receiver.Settings, c *Config) (*goroutineReceiver, error) {
	r := &goroutineReceiver{
		settings: set, config: c, targets: make(map[string]*target), slots: newSlots(c.MaxConcurrent),
		detectors: detectors.Scaled(c.TimeScale),
	}
	r.reader = &source.Reader{
		HTTP: source.HTTP{Timeout: c.ClientConfig.Timeout}, Settings: &settingNames,
		Endpoint: c.Page, Max: c.MaxSnapshotSize,
	}
	var err error
	if r.known, err = c.known(); err != nil {
		return nil, err
	}
	if r.translator, err = newTranslator(context.Background()); err != nil {
		return nil, fmt.Errorf("translating to the Collector's data: %w", err)
	}
	return r, nil
}

// start begins to observe. It does not wait for any target.
func (r *goroutineReceiver) start(_ context.Context, host component.Host, report func(*componentstatus.Event)) (err error) {
	r.report = report
	ctx, cancel := context.WithCancel(context.Background())
	fixed, manager, err := r.prepare(ctx, host)
	if err != nil {
		cancel()
		return err
	}
	if r.own, err = newOwnTelemetry(r.settings, r.count); err != nil {
		cancel()
		return err
	}
	r.cancel = cancel
	r.observe(ctx, fixed, 0)
	if manager != nil {
		r.running.Go(func() { r.discover(ctx, manager, fixed) })
	}
	return nil
}

// prepare makes what start needs. The manager is nil if there is no discovery.
func (r *goroutineReceiver) prepare(ctx context.Context, host component.Host) (fixed []spec, m *discovery.Manager, err error) {
	quiet := r.settings.TelemetrySettings
	quiet.TracerProvider = nil // without a span and metrics for each request, which would have series for each target
	if r.client, err = r.config.ClientConfig.ToClient(ctx, host.GetExtensions(), quiet); err != nil {
		return nil, nil, err
	}
	if fixed, err = r.fixed(); err != nil || len(r.config.Discovery) == 0 {
		return fixed, nil, err
	}
	m, err = discovery.New(r.config.Discovery, discovery.Options{
		Logger: r.settings.Logger, MaxTargets: max(1, r.config.MaxTargets-len(fixed)),
	})
	return fixed, m, err
}

// fixed returns the targets that the configuration names.
func (r *goroutineReceiver) fixed() (all []spec, err error) {
	for _, l := range r.config.listed() {
		remote, err := r.reader.RemoteThrough(http.DefaultClient, l.endpoint)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.setting, err)
		}
		all = append(all, spec{
			name: remote.Name, address: l.endpoint,
			resource: ofListed(remote.Name, remote.Host, remote.Instance, r.config.ResourceAttributes, l.attributes),
		})
	}
	return all, nil
}

// discover observes what discovery finds besides the fixed targets, until ctx ends.
func (r *goroutineReceiver) discover(ctx context.Context, m *discovery.Manager, fixed []spec) {
	err := m.Run(ctx, func(u discovery.Update) {
		all := append([]spec(nil), fixed...)
		for i := range u.Targets {
			t := &u.Targets[i]
			name, err := source.CheckAddress(t.URL)
			if err != nil {
				r.settings.Logger.Warn("target cannot be observed", zap.String("job", t.Job), zap.Error(err))
				continue
			}
			all = append(all, spec{name, t.Discovered[podUID], t.URL, ofDiscovered(t, r.config.ResourceAttributes)})
		}
		r.observe(ctx, all, u.Beyond)
	})
	if err != nil && ctx.Err() == nil {
		r.report(componentstatus.NewPermanentErrorEvent(fmt.Errorf("discovery ended: %w", err)))
		r.settings.Logger.Error("discovery ended; targets stay as they are", zap.Error(err))
	}
}

// observe makes all the targets. Those that are among them already go on, those that are
// not any more end. Of two at one address, the first counts.
func (r *goroutineReceiver) observe(ctx context.Context, all []spec, beyond int) {
	wanted, order := make(map[string]*spec, len(all)), make([]*spec, 0, len(all))
	for i := range all {
		s := &all[i]
		switch {
		case wanted[s.name] != nil:
		case len(order) >= r.config.MaxTargets:
			beyond++
		default:
			wanted[s.name], order = s, append(order, s)
		}
	}
	if before := r.refused.Swap(int64(beyond)); beyond > 0 && before != int64(beyond) {
		r.settings.Logger.Warn("there are more targets than max_targets, and those beyond are not observed",
			zap.Int("max_targets", r.config.MaxTargets), zap.Int("not_observed", beyond))
	}
	r.mu.Lock()
	for name, t := range r.targets {
		if s := wanted[name]; s == nil || s.identity != t.identity {
			delete(r.targets, name)
			t.leave()
		}
	}
	for _, s := range order {
		r.observeOne(ctx, s)
	}
	r.mu.Unlock()
	r.changed()
}

// observeOne makes a target, or sets the resource of one that is observed already. The
// caller holds r.mu.
func (r *goroutineReceiver) observeOne(ctx context.Context, s *spec) {
	if t, ok := r.targets[s.name]; ok {
		t.resource.Store(&s.resource)
		return
	}
	if ctx.Err() != nil {
		return
	}
	t, err := newTarget(r, s)
	if err != nil {
		r.settings.Logger.Warn("target cannot be observed", zap.String("target", s.name), zap.Error(err))
		return
	}
	r.targets[s.name] = t
	own, stop := context.WithCancel(ctx)
	t.stop = stop
	first := r.config.InitialDelay + r.config.evenly(hashOf(s.name))
	r.running.Go(func() { t.run(own, first) })
}

func hashOf(key string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	x := h.Sum64() // its highest bits depend little on the last bytes
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// count returns how many targets there are.
func (r *goroutineReceiver) count() (byState [len(states)]int64, refused int64) {
	for i := range r.byState {
		byState[i] = r.byState[i].Load()
	}
	return byState, r.refused.Load()
}

// changed reports the status of the component: an error when no target at all can be
// reached, as after a wrong setting.
func (r *goroutineReceiver) changed() {
	r.status.Lock()
	defer r.status.Unlock()
	byState, _ := r.count()
	blind := byState[unreachable] > 0 && byState[pending]+byState[observed]+byState[incomplete] == 0
	switch {
	case blind && !r.blind:
		r.report(componentstatus.NewRecoverableErrorEvent(fmt.Errorf("none of %d targets can be observed; the log says why", byState[unreachable])))
	case r.blind && byState[observed]+byState[incomplete] > 0:
		r.report(componentstatus.NewEvent(componentstatus.StatusOK))
	default:
		return
	}
	r.blind = blind
}

// shutdown ends everything. What hangs is left behind when ctx ends.
func (r *goroutineReceiver) shutdown(ctx context.Context) error {
	if r.cancel == nil {
		return r.translator.shutdown(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.cancel()
	ended := make(chan struct{})
	go func() {
		r.running.Wait()
		close(ended)
	}()
	var err error
	select {
	case <-ended:
	case <-ctx.Done():
		err = fmt.Errorf("some targets have not ended, because the next consumer does not return: %w", ctx.Err())
	}
	r.client.CloseIdleConnections()
	r.own.builder.Shutdown()
	return errors.Join(err, r.translator.shutdown(context.WithoutCancel(ctx)))
}
