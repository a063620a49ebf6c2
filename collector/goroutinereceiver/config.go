// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/discovery"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/source"
)

// The defaults.
const (
	// defaultInterval gives the detectors that need a minute three snapshots in it, at
	// half the cost for the targets that the command has with its 15 s.
	defaultInterval      = 30 * time.Second
	defaultTimeout       = 10 * time.Second
	defaultMaxTargets    = 1000
	defaultMaxConcurrent = 16
	defaultTopStacks     = 20
	// defaultMaxSnapshotSize has room for the trace of a million goroutines, which takes
	// 17 MB, and for one of 100,000 in a busy process.
	defaultMaxSnapshotSize = 32 << 20
)

// The limits.
const (
	leastInterval       = 100 * time.Millisecond
	mostInterval        = time.Hour
	mostTimeout         = 5 * time.Minute
	mostProfileInterval = 24 * time.Hour
	mostTargets         = 20_000
	mostConcurrent      = 1024
	mostTopStacks       = 400
	leastSize           = 64 << 10
	mostSize            = 1 << 30
	mostTimeScale       = 100
	maxAttributes       = 64 // that the configuration gives a target
	maxAttributeKey     = 256
)

// Config is the configuration of the receiver.
type Config struct {
	// ClientConfig is how targets are asked: TLS, auth extensions, proxy, headers and
	// timeout. Its endpoint is one target, which is also what receiver_creator sets.
	ClientConfig confighttp.ClientConfig `mapstructure:",squash"`

	// Targets are processes at known addresses.
	Targets []TargetConfig `mapstructure:"targets"`

	// Discovery finds targets, with jobs in the form of Prometheus's scrape_configs.
	Discovery discovery.Configs `mapstructure:"discovery"`

	// ResourceAttributes are set on the resource of every target. They take precedence
	// over those that discovery finds, and those of a target over these.
	ResourceAttributes map[string]string `mapstructure:"resource_attributes"`

	// CollectionInterval is the time between two snapshots of a target.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`

	// InitialDelay is the time before the first snapshot. Within an interval from then
	// on, the first snapshots of all targets are spread evenly.
	InitialDelay time.Duration `mapstructure:"initial_delay"`

	// Page selects what targets are asked for: auto, profile or dump.
	Page source.Endpoint `mapstructure:"page"`

	// MaxTargets is how many targets are observed; those beyond are told and counted.
	MaxTargets int `mapstructure:"max_targets"`

	// MaxConcurrent is how many snapshots are taken at the same time.
	MaxConcurrent int `mapstructure:"max_concurrent"`

	// MaxSnapshotSize is how large a response may be, in bytes, before and after
	// decompression.
	MaxSnapshotSize int64 `mapstructure:"max_snapshot_size"`

	// TopStacks is how many stacks of a target have series of their own.
	TopStacks int `mapstructure:"top_stacks"`

	// ProfileInterval is the time between two profiles of a target, besides those of
	// findings. At 0 there are none. It has a meaning in a pipeline of profiles only.
	ProfileInterval time.Duration `mapstructure:"profile_interval"`

	// KnownStacks is the path of a file with stacks that wait by design.
	KnownStacks string `mapstructure:"known_stacks"`

	// TimeScale multiplies every time of the detectors, for demonstrations.
	TimeScale float64 `mapstructure:"time_scale"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// A TargetConfig is a process at a known address.
type TargetConfig struct {
	// Endpoint is host:port or a URL: the root of a server, or the index page of
	// net/http/pprof.
	Endpoint string `mapstructure:"endpoint"`

	// ResourceAttributes are set on the resource of this target.
	ResourceAttributes map[string]string `mapstructure:"resource_attributes"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var _ interface {
	component.Config
	confmap.Validator
} = (*Config)(nil)

func createDefaultConfig() component.Config {
	client := confighttp.NewDefaultClientConfig()
	client.Timeout = defaultTimeout
	connections := confighttp.NewDefaultKeepaliveClientConfig()
	connections.MaxIdleConnsPerHost = 1 // a target is asked one page at a time
	connections.MaxIdleConns = defaultMaxTargets
	client.Keepalive = configoptional.Some(connections)
	return &Config{
		ClientConfig:       client,
		CollectionInterval: defaultInterval,
		InitialDelay:       time.Second,
		Page:               source.Auto,
		MaxTargets:         defaultMaxTargets,
		MaxConcurrent:      defaultMaxConcurrent,
		MaxSnapshotSize:    defaultMaxSnapshotSize,
		TopStacks:          defaultTopStacks,
		TimeScale:          1,
	}
}

// pages are what Page may be. A trace alone, without falling back to the profile, is
// not among them: then a target that cannot be traced is not observed at all.
var pages = []source.Endpoint{source.Auto, source.Profile, source.Dump}

// Validate checks the configuration.
func (c *Config) Validate() error {
	return errors.Join(
		c.checkSources(),
		c.checkClient(),
		within("collection_interval", c.CollectionInterval, leastInterval, mostInterval),
		within("initial_delay", c.InitialDelay, 0, mostInterval),
		within("timeout", c.ClientConfig.Timeout, time.Millisecond, mostTimeout),
		within("max_targets", c.MaxTargets, 1, mostTargets),
		within("max_concurrent", c.MaxConcurrent, 1, mostConcurrent),
		within("max_snapshot_size", c.MaxSnapshotSize, leastSize, mostSize),
		within("top_stacks", c.TopStacks, 1, mostTopStacks),
		c.checkProfiles(),
		c.checkPage(),
		c.checkScale(),
		c.checkKnown(),
		checkAttributes("resource_attributes", c.ResourceAttributes),
	)
}

func within[N int | int64 | time.Duration](name string, value, least, most N) error {
	if value < least || value > most {
		return fmt.Errorf("%s is %v; it must be %v to %v", name, value, least, most)
	}
	return nil
}

// checkSources checks what says where the targets are.
func (c *Config) checkSources() error {
	listed := c.listed()
	if len(listed) == 0 && len(c.Discovery) == 0 {
		return errors.New("no targets; at least one of endpoint, targets and discovery must be set")
	}
	if len(listed) > c.MaxTargets {
		return fmt.Errorf("%d targets are listed, and max_targets is %d; it must be at least as many", len(listed), c.MaxTargets)
	}
	var errs []error
	first := make(map[string]string)
	for _, t := range listed {
		errs = append(errs, t.check(first), checkAttributes(t.setting+" resource_attributes", t.attributes))
	}
	return errors.Join(errs...)
}

// A listed target is one that the configuration names.
type listed struct {
	setting    string // where
	endpoint   string
	attributes map[string]string
}

func (c *Config) listed() (all []listed) {
	if c.ClientConfig.Endpoint != "" {
		all = append(all, listed{"endpoint", c.ClientConfig.Endpoint, nil})
	}
	for i, t := range c.Targets {
		all = append(all, listed{fmt.Sprintf("targets[%d]", i), t.Endpoint, t.ResourceAttributes})
	}
	return all
}

// check checks the address. first has the setting that named a process first.
func (l listed) check(first map[string]string) error {
	if l.endpoint == "" {
		return fmt.Errorf("%s has no endpoint; it must be host:port or a URL such as http://host:6060", l.setting)
	}
	name, err := source.CheckAddress(l.endpoint)
	if err != nil {
		return fmt.Errorf("%s: endpoint %w", l.setting, err)
	}
	if other, twice := first[name]; twice {
		return fmt.Errorf("%s: %s is the same process as in %s; each must be listed once", l.setting, name, other)
	}
	first[name] = l.setting
	return nil
}

// checkClient refuses what has no meaning for requests without a body.
func (c *Config) checkClient() error {
	if c.ClientConfig.Compression.IsCompressed() {
		return fmt.Errorf("compression is %q; it must not be set, because the requests have no body", c.ClientConfig.Compression)
	}
	return nil
}

func (c *Config) checkProfiles() error {
	if c.ProfileInterval == 0 {
		return nil
	}
	return within("profile_interval", c.ProfileInterval, c.CollectionInterval, mostProfileInterval)
}

func (c *Config) checkPage() error {
	if !slices.Contains(pages, c.Page) {
		return fmt.Errorf("page is %q; it must be auto, profile or dump", c.Page)
	}
	return nil
}

func (c *Config) checkScale() error {
	if !(c.TimeScale > 0 && c.TimeScale <= mostTimeScale) { // also NaN
		return fmt.Errorf("time_scale is %v; it must be above 0 and at most %d", c.TimeScale, mostTimeScale)
	}
	return nil
}

func (c *Config) checkKnown() error {
	_, err := c.known()
	return err
}

// known reads the file of known_stacks.
func (c *Config) known() ([]detectors.KnownStack, error) {
	if c.KnownStacks == "" {
		return nil, nil
	}
	info, err := os.Stat(c.KnownStacks)
	if err != nil {
		return nil, fmt.Errorf("known_stacks: %w", err)
	}
	if !info.Mode().IsRegular() { // opening a named pipe could wait
		return nil, fmt.Errorf("known_stacks %s: it must be a regular file", c.KnownStacks)
	}
	f, err := os.Open(c.KnownStacks)
	if err != nil {
		return nil, fmt.Errorf("known_stacks: %w", err)
	}
	defer f.Close()
	known, err := detectors.ReadExclusions(f)
	if err != nil {
		return nil, fmt.Errorf("known_stacks %s: %w", c.KnownStacks, err)
	}
	return known, nil
}

func checkAttributes(setting string, attributes map[string]string) error {
	if n := len(attributes); n > maxAttributes {
		return fmt.Errorf("%s has %d attributes; it must have at most %d", setting, n, maxAttributes)
	}
	for key := range attributes {
		if strings.TrimSpace(key) == "" || len(key) > maxAttributeKey {
			return fmt.Errorf("%s has the key %.*q; it must have 1 to %d bytes and not be blank", setting, maxAttributeKey, key, maxAttributeKey)
		}
	}
	return nil
}

// evenly returns the share of the interval after which the first snapshot of a target is
// taken, from a number that is evenly distributed over the targets.
func (c *Config) evenly(hash uint64) time.Duration {
	return time.Duration(float64(c.CollectionInterval) * (float64(hash>>11) / math.Exp2(53)))
}
