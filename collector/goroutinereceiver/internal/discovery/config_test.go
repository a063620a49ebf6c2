// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/http"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

// variables are what ${NAME} stands for in the tests.
var variables = map[string]string{
	"OCTAL":  "0123",
	"FLOAT":  "1e10",
	"DOLLAR": "a$b",
	"PORT":   "6060",
}

type text string

func (p text) Scheme() string                 { return string(p) }
func (p text) Shutdown(context.Context) error { return nil }
func (p text) Retrieve(_ context.Context, uri string, _ confmap.WatcherFunc) (*confmap.Retrieved, error) {
	uri = uri[len(p)+1:]
	if p == "env" {
		return confmap.NewRetrievedFromYAML([]byte(variables[uri]))
	}
	return confmap.NewRetrievedFromYAML([]byte(uri))
}

func provider(scheme string) confmap.ProviderFactory {
	return confmap.NewProviderFactory(func(confmap.ProviderSettings) confmap.Provider { return text(scheme) })
}

type receiver struct {
	Discovery Configs `mapstructure:"discovery"`
}

// read reads jobs as the Collector does.
func read(yaml string) (Configs, error) {
	r, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs: []string{"text:" + yaml}, DefaultScheme: "env",
		ProviderFactories: []confmap.ProviderFactory{provider("text"), provider("env")},
	})
	if err != nil {
		return nil, err
	}
	conf, err := r.Resolve(context.Background())
	if err != nil {
		return nil, err
	}
	var got receiver
	if err := conf.Unmarshal(&got); err != nil {
		return nil, err
	}
	return got.Discovery, got.Discovery.Validate()
}

func jobs(t *testing.T, yaml string) Configs {
	t.Helper()
	cs, err := read(yaml)
	require.NoError(t, err)
	return cs
}

func TestJobsAreThoseOfPrometheus(t *testing.T) {
	got := jobs(t, `
discovery:
  - job_name: pods
    scheme: https
    path: /internal/pprof/
    kubernetes_sd_configs:
      - role: pod
        namespaces: {names: [shop]}
    relabel_configs:
      - source_labels: [__meta_kubernetes_pod_annotation_x]
        action: keep
        regex: true
      - source_labels: [__address__]
        regex: (.+):\d+
        replacement: $$1:${PORT}
        target_label: __address__
  - job_name: others
    consul_sd_configs: [{server: "consul:8500", refresh_interval: 1m}]
    dns_sd_configs: [{names: [_pprof._tcp.example.org]}]
    docker_sd_configs: [{host: unix:///var/run/docker.sock}]
    file_sd_configs: [{files: [targets/*.yaml]}]
    http_sd_configs: [{url: "http://localhost/targets"}]
    static_configs:
      - targets: ["a:6060", "b:6060"]
        labels: {team: shop}
      - targets: ["c:6060"]
`)
	require.Len(t, got, 2)
	pods := got[0]
	assert.Equal(t, "pods", pods.Name())
	assert.Equal(t, "https /internal/pprof/", pods.scheme+" "+pods.path)
	require.Len(t, pods.finders, 1)
	k := pods.finders[0].(*kubernetes.SDConfig)
	assert.Equal(t, kubernetes.RolePod, k.Role)
	assert.Equal(t, []string{"shop"}, k.NamespaceDiscovery.Names)
	assert.Equal(t, config.DefaultHTTPClientConfig, k.HTTPClientConfig, "Prometheus's defaults")
	require.Len(t, pods.relabel, 2)
	assert.Equal(t, "true", pods.relabel[0].Regex.String(), "a boolean is text there")
	assert.Equal(t, "$1:6060", pods.relabel[1].Replacement)

	others := got[1]
	assert.Equal(t, "http /debug/pprof/", others.scheme+" "+others.path)
	names := make(map[string]discovery.Config)
	for _, f := range others.finders {
		names[f.Name()] = f
	}
	assert.Len(t, names, 6)
	assert.Equal(t, model.Duration(time.Minute), names["consul"].(*consul.SDConfig).RefreshInterval)
	groups := names["static"].(discovery.StaticConfig)
	require.Len(t, groups, 2, "one finder for all groups")
	assert.NotEqual(t, groups[0].Source, groups[1].Source)
	assert.Equal(t, model.LabelValue("shop"), groups[0].Labels["team"])
}

func TestCredentialsAreKeptToTheCharacter(t *testing.T) {
	got := jobs(t, `
discovery:
  - job_name: a
    http_sd_configs:
      - url: http://localhost/a
        basic_auth: {username: "${OCTAL}", password: "${FLOAT}"}
        http_headers: {X-Key: {secrets: ["${OCTAL}"]}}
      - url: http://localhost/b
        authorization: {credentials: "${DOLLAR}-$$1"}
      - url: http://localhost/c
        oauth2: {client_id: "${OCTAL}", client_secret: "${FLOAT}", token_url: "http://localhost/token"}
    consul_sd_configs:
      - token: ${OCTAL}
`)
	var secrets []config.Secret
	for _, f := range got[0].finders {
		switch f := f.(type) {
		case *consul.SDConfig:
			secrets = append(secrets, f.Token)
		case *http.SDConfig:
			c := f.HTTPClientConfig
			if c.BasicAuth != nil {
				secrets = append(secrets, config.Secret(c.BasicAuth.Username), c.BasicAuth.Password, c.HTTPHeaders.Headers["X-Key"].Secrets[0])
			}
			if c.Authorization != nil {
				secrets = append(secrets, c.Authorization.Credentials)
			}
			if c.OAuth2 != nil {
				secrets = append(secrets, config.Secret(c.OAuth2.ClientID), c.OAuth2.ClientSecret)
			}
		}
	}
	assert.Equal(t, []config.Secret{"0123", "0123", "1e10", "0123", "a$b-$1", "0123", "1e10"}, secrets)
}

func TestMistakesAreToldWithTheJob(t *testing.T) {
	for name, test := range map[string]struct{ yaml, want string }{
		"no name":           {`[{static_configs: [{targets: ["a:1"]}]}]`, "a job of discovery has no job_name; it must be text"},
		"a number as name":  {`[{job_name: 7, static_configs: [{targets: ["a:1"]}]}]`, "has no job_name; it must be text"},
		"two with one name": {`[{job_name: a, static_configs: [{targets: ["a:1"]}]}, {job_name: a, static_configs: [{targets: ["b:1"]}]}]`, `two jobs of discovery have the job_name "a"`},
		"unknown key":       {`[{job_name: a, statc_configs: []}]`, `discovery, job "a": unknown key "statc_configs"; keys must be among job_name, scheme, path, relabel_configs, static_configs, consul_sd_configs, dns_sd_configs`},
		"another mechanism": {`[{job_name: a, ec2_sd_configs: []}]`, `discovery, job "a": ec2_sd_configs are not supported; what is found there can be written for file_sd_configs`},
		"credentials":       {`[{job_name: a, basic_auth: {username: u}}]`, `key "basic_auth" does not belong to a job of discovery: requests to targets use the client of the receiver: set auth, with the extension basicauth, beside discovery`},
		"TLS":               {`[{job_name: a, tls_config: {ca_file: x}}]`, `requests to targets use the client of the receiver: set tls beside discovery`},
		"interval":          {`[{job_name: a, scrape_interval: 5s}]`, `set collection_interval beside discovery`},
		"metrics_path":      {`[{job_name: a, metrics_path: /x}]`, "use path, the path of net/http/pprof, /debug/pprof/ by default"},
		"key of a section":  {`[{job_name: a, kubernetes_sd_configs: [{role: pod}, {rol: pod, role: pod}]}]`, `discovery, job "a": kubernetes_sd_configs[1]: unknown key "rol"`},
		"key below":         {`[{job_name: a, http_sd_configs: [{url: "http://a/", tls_config: {caa: x}}]}]`, `http_sd_configs[0]: unknown key "caa"`},
		"key of a rule":     {`[{job_name: a, relabel_configs: [{source_label: [a]}]}]`, `relabel_configs[0]: unknown key "source_label"`},
		"wrong role":        {`[{job_name: a, kubernetes_sd_configs: [{role: pods}]}]`, `kubernetes_sd_configs[0]: unknown Kubernetes SD role "pods"`},
		"wrong action":      {`[{job_name: a, relabel_configs: [{action: kep}]}]`, `relabel_configs[0]: unknown relabel action "kep"`},
		"rule that is none": {`[{job_name: a, relabel_configs: [{action: hashmod, target_label: x}]}]`, `relabel_configs[0]: relabel configuration for hashmod requires non-zero modulus`},
		"wrong expression":  {`[{job_name: a, relabel_configs: [{action: keep, regex: "("}]}]`, "relabel_configs[0]: error parsing regexp"},
		"wrong type":        {`[{job_name: a, dns_sd_configs: [{names: [x], port: many}]}]`, "dns_sd_configs[0]: a value has the wrong type, str `many`"},
		"no list":           {`[{job_name: a, static_configs: {targets: ["a:1"]}}]`, "static_configs must be a list, and is one set of keys and values"},
		"no section":        {`[{job_name: a, static_configs: ["a:1"]}]`, "static_configs[0] must have keys and values, and is text"},
		"no targets":        {`[{job_name: a, static_configs: [{labels: {a: b}}]}]`, "static_configs[0]: no targets; add a list of addresses"},
		"nothing to find":   {`[{job_name: a}]`, "nothing says where to find targets; add static_configs or one of the *_sd_configs"},
		"scheme":            {`[{job_name: a, scheme: ftp}]`, "scheme is ftp; it must be http or https"},
		"path":              {`[{job_name: a, path: debug}]`, "path is debug; it must be a path that begins with /, such as /debug/pprof/"},
		"query":             {`[{job_name: a, path: "/debug/pprof/?debug=1"}]`, `path: "/debug/pprof/?debug=1" has a query or a fragment`},
		"fraction":          {`[{job_name: a, relabel_configs: [{target_label: v, replacement: 1.10}]}]`, `relabel_configs[0].replacement is the number 1.1; put text in quotes`},
		"number as secret":  {`[{job_name: a, consul_sd_configs: [{token: 0123}]}]`, "credentials must be text; put numbers in quotes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read("discovery: " + test.yaml)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

// A secret must not be in an error that the log shows.
func TestErrorsHaveNoSecrets(t *testing.T) {
	for _, yaml := range []string{
		`discovery: [{job_name: a, http_sd_configs: [{url: "http://a/", basic_auth: {username: u, password: "hunter2"}, typo: 1}]}]`,
		`discovery: [{job_name: a, consul_sd_configs: [{token: "hunter2", server: ""}]}]`,
		`discovery: [{job_name: a, http_sd_configs: {url: "http://a/", bearer_token: "hunter2"}}]`,
		`discovery: [{job_name: a, http_sd_configs: ["hunter2"]}]`,
		`discovery: [{job_name: a, consul_sd_configs: [{token: [hunter2]}]}]`,
		`discovery: [{job_name: a, http_sd_configs: [{url: "http://a/", basic_auth: hunter2}]}]`,
	} {
		_, err := read(yaml)
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}
