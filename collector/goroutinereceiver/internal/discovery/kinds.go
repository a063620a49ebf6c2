// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/dns"
	"github.com/prometheus/prometheus/discovery/file"
	"github.com/prometheus/prometheus/discovery/http"
	"github.com/prometheus/prometheus/discovery/kubernetes"
	"github.com/prometheus/prometheus/discovery/moby"
)

// The keys of a job.
const (
	keyName    = "job_name"
	keyScheme  = "scheme"
	keyPath    = "path"
	keyRelabel = "relabel_configs"
	keyStatic  = "static_configs"
)

// kinds lists the mechanisms of service discovery, by the key of their sections in
// a job, with what reads one section. Prometheus has a registry of them, too. It is
// not used: it has whatever other components of the Collector link in, and a
// configuration must not depend on that.
var kinds = map[string]func() discovery.Config{
	"consul_sd_configs":     func() discovery.Config { return new(consul.SDConfig) },
	"dns_sd_configs":        func() discovery.Config { return new(dns.SDConfig) },
	"docker_sd_configs":     func() discovery.Config { return new(moby.DockerSDConfig) },
	"file_sd_configs":       func() discovery.Config { return new(file.SDConfig) },
	"http_sd_configs":       func() discovery.Config { return new(http.SDConfig) },
	"kubernetes_sd_configs": func() discovery.Config { return new(kubernetes.SDConfig) },
}

const (
	toClient   = "requests to targets use the client of the receiver: set %s beside discovery, and use a second receiver for targets that need others"
	toReceiver = "all targets of a receiver have one interval: set %s beside discovery"
)

// elsewhere says of keys that jobs have in Prometheus, and not here, where their
// meaning is set.
var elsewhere = map[string]string{
	"metrics_path":                  "use path, the path of net/http/pprof, " + defaultPath + " by default",
	"basic_auth":                    fmt.Sprintf(toClient, "auth, with the extension basicauth,"),
	"authorization":                 fmt.Sprintf(toClient, "auth, with the extension bearertokenauth, or headers"),
	"bearer_token":                  fmt.Sprintf(toClient, "auth, with the extension bearertokenauth,"),
	"bearer_token_file":             fmt.Sprintf(toClient, "auth, with the extension bearertokenauth,"),
	"oauth2":                        fmt.Sprintf(toClient, "auth, with the extension oauth2client,"),
	"tls_config":                    fmt.Sprintf(toClient, "tls"),
	"http_headers":                  fmt.Sprintf(toClient, "headers"),
	"proxy_url":                     fmt.Sprintf(toClient, "proxy_url"),
	"proxy_from_environment":        fmt.Sprintf(toClient, "proxy_url"),
	"no_proxy":                      fmt.Sprintf(toClient, "proxy_url"),
	"proxy_connect_header":          fmt.Sprintf(toClient, "proxy_url"),
	"follow_redirects":              "redirects to other hosts are never followed",
	"enable_http2":                  fmt.Sprintf(toClient, "the settings of HTTP/2"),
	"params":                        "the query of a request is the receiver's",
	"scrape_interval":               fmt.Sprintf(toReceiver, "collection_interval"),
	"scrape_timeout":                fmt.Sprintf(toReceiver, "timeout"),
	"metric_relabel_configs":        "use a processor of the pipeline, such as transform or filter",
	"sample_limit":                  "the number of series of a target is bounded by top_stacks",
	"target_limit":                  "use max_targets of the receiver",
	"honor_labels":                  "targets send no labels",
	"honor_timestamps":              "targets send no timestamps",
	"label_limit":                   fmt.Sprintf("targets have at most %d labels", maxLabels),
	"label_name_length_limit":       fmt.Sprintf("names of labels have at most %d bytes", maxName),
	"label_value_length_limit":      fmt.Sprintf("values of labels have at most %d bytes", maxValue),
	"scrape_protocols":              "targets are read in the format of net/http/pprof",
	"track_timestamps_staleness":    "targets send no timestamps",
	"scrape_classic_histograms":     "targets send no histograms",
	"metric_name_validation_scheme": "names of metrics are those of OpenTelemetry",
}

// accepted lists the keys of a job in the order of the documentation.
func accepted() string {
	keys := []string{keyName, keyScheme, keyPath, keyRelabel, keyStatic}
	var sections []string
	for k := range kinds {
		sections = append(sections, k)
	}
	slices.Sort(sections)
	return strings.Join(append(keys, sections...), ", ")
}

// unknown is the error about a key that a job does not have.
func unknown(key string) error {
	if where, known := elsewhere[key]; known {
		return fmt.Errorf("key %q does not belong to a job of discovery: %s", key, where)
	}
	if strings.HasSuffix(key, "_sd_configs") {
		return fmt.Errorf("%s are not supported; what is found there can be written for file_sd_configs or served for http_sd_configs; keys must be among %s", key, accepted())
	}
	return fmt.Errorf("unknown key %q; keys must be among %s", key, accepted())
}
