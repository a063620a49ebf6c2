// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"
)

// Options are what a Manager needs besides its jobs.
type Options struct {
	// Logger hears what fails, on change and then every ten minutes. Nil is silence.
	Logger *zap.Logger
	// MaxTargets is the greatest number of targets of all jobs together. It must be
	// at least 1.
	MaxTargets int
}

// A Manager runs the jobs of one receiver.
type Manager struct {
	jobs     []Config
	log      *zap.Logger
	slog     *slog.Logger
	registry *prometheus.Registry
	metrics  *discovery.SDMetrics
	set      set
	told     told
	// accessEvery is how often it is checked whether requests to Kubernetes failed.
	accessEvery time.Duration
}

// New returns a Manager that has started nothing. It returns an error if a job
// cannot be run here: a Collector that is not in a cluster and has no kubeconfig, a
// certificate that cannot be read. A server that does not answer is not an error;
// it is asked again.
func New(jobs []Config, o Options) (*Manager, error) {
	if len(jobs) == 0 {
		return nil, errors.New("no jobs of discovery; there must be at least one")
	}
	if o.MaxTargets < 1 {
		return nil, fmt.Errorf("the greatest number of targets is %d; it must be at least 1", o.MaxTargets)
	}
	if err := Configs(jobs).Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if err := runnable(jobs); err != nil {
		return nil, err
	}
	m := &Manager{
		jobs: jobs, log: o.Logger, slog: newLogger(o.Logger),
		registry: prometheus.NewRegistry(), set: set{most: o.MaxTargets},
		accessEvery: time.Minute,
	}
	var err error
	m.metrics, err = discovery.CreateAndRegisterSDMetrics(m.registry)
	return m, err
}

// runnable makes what finds the targets of each job, once, for its error:
// Prometheus's manager only logs it.
func runnable(jobs []Config) error {
	metrics, err := discovery.CreateAndRegisterSDMetrics(prometheus.NewRegistry())
	if err != nil {
		return err
	}
	for _, job := range jobs {
		for _, finder := range job.finders {
			_, err := finder.NewDiscoverer(discovery.DiscovererOptions{
				Logger:  slog.New(slog.DiscardHandler),
				Metrics: metrics.MechanismMetrics[finder.Name()],
				SetName: job.name,
			})
			if err != nil {
				return fmt.Errorf("discovery, job %q: %s service discovery cannot run: %w", job.name, finder.Name(), err)
			}
		}
	}
	return nil
}

// Run finds targets until ctx is done, and then returns nil. It calls onUpdate with
// what there is at first, be it nothing, and after every change. Changes within a
// short time, of up to five seconds if they go on, are one update. While onUpdate
// runs, updates wait and are one. Run may be called once.
func (m *Manager) Run(ctx context.Context, onUpdate func(Update)) error {
	manager := discovery.NewManager(ctx, m.slog, m.registry, m.metrics, discovery.Name("goroutine"))
	if manager == nil {
		return errors.New("discovery: Run was called before; make a new Manager")
	}
	configs := make(map[string]discovery.Configs, len(m.jobs))
	for _, job := range m.jobs {
		configs[job.name] = job.finders
	}
	if err := manager.ApplyConfig(configs); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = manager.Run() }) // returns the error of ctx
	wg.Go(func() { m.watchAccess(ctx) })
	for groups := range manager.SyncCh() {
		m.receive(groups, onUpdate)
	}
	return nil
}

func (m *Manager) receive(groups map[string][]*targetgroup.Group, onUpdate func(Update)) {
	lb := labels.NewBuilder(labels.EmptyLabels())
	all := make([]found, len(m.jobs))
	for i := range m.jobs {
		all[i] = m.jobs[i].targets(lb, i, groups[m.jobs[i].name])
	}
	u, changed := m.set.update(all)
	if !changed {
		return
	}
	m.told.invalid(m.log, all)
	m.told.beyond(m.log, u.Beyond, m.set.most)
	onUpdate(u)
}
