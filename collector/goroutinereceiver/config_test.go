// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/metadata"
	"github.com/otelgoroutine/go/internal/source"
)

func load(t *testing.T, name string) *Config {
	t.Helper()
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	id := component.NewID(metadata.Type)
	if name != "" {
		id = component.NewIDWithName(metadata.Type, name)
	}
	sub, err := all.Sub(id.String())
	require.NoError(t, err)
	c := NewFactory().CreateDefaultConfig().(*Config)
	require.NoError(t, sub.Unmarshal(c))
	return c
}

func TestDefaults(t *testing.T) {
	c := load(t, "")
	require.NoError(t, confmap.Validate(c))
	want := createDefaultConfig().(*Config)
	require.NoError(t, confmap.NewFromStringMap(values{"endpoint": "http://localhost:6060"}).Unmarshal(want))
	assert.Equal(t, want, c)
	//lint:ignore SA1019 Unmarshal puts here what Keepalive says
	assert.Equal(t, []int{1, defaultMaxTargets}, []int{c.ClientConfig.MaxIdleConnsPerHost, c.ClientConfig.MaxIdleConns})
	assert.Equal(t, 30*time.Second, c.CollectionInterval)
	assert.Equal(t, 10*time.Second, c.ClientConfig.Timeout)
	assert.Equal(t, source.Auto, c.Page)
}

func TestLoad(t *testing.T) {
	c := load(t, "all")
	require.NoError(t, confmap.Validate(c))
	assert.Equal(t, "checkout:6060", c.ClientConfig.Endpoint)
	assert.Equal(t, 5*time.Second, c.ClientConfig.Timeout)
	header, _ := c.ClientConfig.Headers.Get("X-Scope")
	assert.Equal(t, configopaque.String("platform"), header)
	assert.True(t, c.ClientConfig.TLS.InsecureSkipVerify)
	assert.Equal(t, []listed{
		{"endpoint", "checkout:6060", nil},
		{"targets[0]", "https://billing:8443/admin/debug/pprof/", map[string]string{"service.name": "billing", "team": "payments"}},
		{"targets[1]", "10.0.0.7:6060", nil},
	}, c.listed())
	require.Len(t, c.Discovery, 1)
	assert.Equal(t, "shop", c.Discovery[0].Name())
	assert.Equal(t, map[string]string{"k8s.cluster.name": "eu-1"}, c.ResourceAttributes)
	assert.Equal(t, time.Minute, c.CollectionInterval)
	assert.Zero(t, c.InitialDelay)
	assert.Equal(t, source.Profile, c.Page)
	assert.Equal(t, []any{5000, 32, int64(1 << 20), 10, 0.5}, []any{c.MaxTargets, c.MaxConcurrent, c.MaxSnapshotSize, c.TopStacks, c.TimeScale})
	known, err := c.known()
	require.NoError(t, err)
	assert.Len(t, known, 1)
}

func TestInvalid(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "known.json")
	require.NoError(t, os.WriteFile(pipe, []byte("{"), 0o600))
	many := make(map[string]string)
	for i := range maxAttributes + 1 {
		many[string(rune('a'+i))] = "x"
	}
	for want, change := range map[string]func(*Config){
		"no targets; at least one of endpoint, targets and discovery must be set":                                     func(c *Config) { c.ClientConfig.Endpoint = "" },
		"targets[0] has no endpoint; it must be host:port or a URL such as http://host:6060":                          func(c *Config) { c.Targets = []TargetConfig{{}} },
		"targets[0]: endpoint pod/x:6060: a Unix socket or a port that kubectl forwards; it must be host:port":        func(c *Config) { c.Targets = []TargetConfig{{Endpoint: "pod/x:6060"}} },
		"endpoint: endpoint http://: not a URL: no host":                                                              func(c *Config) { c.ClientConfig.Endpoint = "http://" },
		"targets[0]: http://localhost:6060/debug/pprof/ is the same process as in endpoint; each must be listed once": func(c *Config) { c.Targets = []TargetConfig{{Endpoint: "localhost:6060"}} },
		"2 targets are listed, and max_targets is 1; it must be at least as many":                                     func(c *Config) { c.Targets, c.MaxTargets = []TargetConfig{{Endpoint: "x:1"}}, 1 },
		"targets[0] resource_attributes has the key \" \"; it must have 1 to 256 bytes and not be blank": func(c *Config) {
			c.Targets = []TargetConfig{{Endpoint: "x:1", ResourceAttributes: map[string]string{" ": "x"}}}
		},
		"resource_attributes has 65 attributes; it must have at most 64":               func(c *Config) { c.ResourceAttributes = many },
		"collection_interval is 10ms; it must be 100ms to 1h0m0s":                      func(c *Config) { c.CollectionInterval = 10 * time.Millisecond },
		"initial_delay is -1s; it must be 0s to 1h0m0s":                                func(c *Config) { c.InitialDelay = -time.Second },
		"timeout is 0s; it must be 1ms to 5m0s":                                        func(c *Config) { c.ClientConfig.Timeout = 0 },
		"max_targets is 20001; it must be 1 to 20000":                                  func(c *Config) { c.MaxTargets = 20_001 },
		"max_concurrent is 0; it must be 1 to 1024":                                    func(c *Config) { c.MaxConcurrent = 0 },
		"max_snapshot_size is 1; it must be 65536 to 1073741824":                       func(c *Config) { c.MaxSnapshotSize = 1 },
		"top_stacks is 401; it must be 1 to 400":                                       func(c *Config) { c.TopStacks = 401 },
		`page is "trace"; it must be auto, profile or dump`:                            func(c *Config) { c.Page = source.Trace },
		"time_scale is NaN; it must be above 0 and at most 100":                        func(c *Config) { c.TimeScale = math.NaN() },
		"known_stacks: stat testdata/none.json: no such file or directory":             func(c *Config) { c.KnownStacks = "testdata/none.json" },
		"known_stacks testdata: it must be a regular file":                             func(c *Config) { c.KnownStacks = "testdata" },
		"known_stacks " + pipe + ": list of exclusions: ":                              func(c *Config) { c.KnownStacks = pipe },
		`compression is "gzip"; it must not be set, because the requests have no body`: func(c *Config) { c.ClientConfig.Compression = configcompression.TypeGzip },
	} {
		c := load(t, "")
		change(c)
		require.ErrorContains(t, confmap.Validate(c), want)
	}
}

// A misspelt key is no setting, and one of a job belongs to discovery.
func TestUnknownKeys(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		want   string
	}{
		{values{"intervall": "1m"}, "invalid keys: intervall"},
		{values{"tls": values{"insecure_skip_verifi": true}}, "invalid keys: insecure_skip_verifi"},
		{values{"targets": []any{values{"endpoint": "x:1", "labels": values{}}}}, "invalid keys: labels"},
		{values{"discovery": []any{values{"job_name": "x", "basic_auth": values{"username": "x"}, "static_configs": []any{values{"targets": []any{"x:1"}}}}}}, "basic_auth"},
	} {
		err := confmap.NewFromStringMap(c.values).Unmarshal(createDefaultConfig())
		require.ErrorContains(t, err, c.want)
	}
	c := createDefaultConfig().(*Config)
	require.NoError(t, confmap.NewFromStringMap(values{"keepalive": values{"enabled": false}, "auth": values{"authenticator": "bearertokenauth"}, "page": "dump"}).Unmarshal(c))
	//lint:ignore SA1019 Unmarshal puts here what the section keepalive says
	assert.True(t, c.ClientConfig.DisableKeepAlives)
	assert.True(t, c.ClientConfig.Auth.HasValue())
	assert.Equal(t, source.Dump, c.Page)
}

func TestFirstSnapshotsAreSpread(t *testing.T) {
	c := createDefaultConfig().(*Config)
	const parts = 10
	var in [parts]int
	for i := range 1000 {
		d := c.evenly(hashOf("http://10.0.0.1:" + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))))
		require.GreaterOrEqual(t, d, time.Duration(0))
		require.Less(t, d, c.CollectionInterval)
		in[d*parts/c.CollectionInterval]++
	}
	for _, n := range in {
		assert.InDelta(t, 1000/parts, n, 50)
	}
}
