// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"go.opentelemetry.io/collector/confmap"
)

// credentials are the values of a section that must reach the server character by
// character. The Collector reads a variable as YAML: a password of 0123 is the
// number 83 for a field of any type, and "0123" for a field that is text. So these
// are read as text.
type credentials struct {
	Username      string              `mapstructure:"username"`
	Password      string              `mapstructure:"password"`
	Token         string              `mapstructure:"token"`
	BearerToken   string              `mapstructure:"bearer_token"`
	BasicAuth     basicAuth           `mapstructure:"basic_auth"`
	Authorization bearer              `mapstructure:"authorization"`
	OAuth2        oauth2              `mapstructure:"oauth2"`
	Headers       map[string]header   `mapstructure:"http_headers"`
	ProxyHeaders  map[string][]string `mapstructure:"proxy_connect_header"`
}

type basicAuth struct {
	Username string `mapstructure:"username"`
	Password string `mapstructure:"password"`
}

type bearer struct {
	Credentials string `mapstructure:"credentials"`
}

type oauth2 struct {
	ClientID     string `mapstructure:"client_id"`
	ClientSecret string `mapstructure:"client_secret"`
}

type header struct {
	Values  []string `mapstructure:"values"`
	Secrets []string `mapstructure:"secrets"`
}

// sections are those that have credentials.
type sections struct {
	Consul     []credentials `mapstructure:"consul_sd_configs"`
	Docker     []credentials `mapstructure:"docker_sd_configs"`
	HTTP       []credentials `mapstructure:"http_sd_configs"`
	Kubernetes []credentials `mapstructure:"kubernetes_sd_configs"`
}

// exactText puts the text of credentials into values.
func exactText(conf *confmap.Conf, values map[string]any) error {
	var s sections
	if err := conf.Unmarshal(&s, confmap.WithIgnoreUnused()); err != nil {
		// The error itself shows values.
		return errors.New("credentials must be text; put numbers in quotes (username, password, token, bearer_token, credentials, client_id, client_secret, and the values of headers)")
	}
	for key, list := range map[string][]credentials{
		"consul_sd_configs":     s.Consul,
		"docker_sd_configs":     s.Docker,
		"http_sd_configs":       s.HTTP,
		"kubernetes_sd_configs": s.Kubernetes,
	} {
		sections, _ := values[key].([]any)
		for i, c := range list[:min(len(list), len(sections))] {
			c.into(sections[i])
		}
	}
	return nil
}

func (c *credentials) into(section any) {
	put(section, "username", c.Username)
	put(section, "password", c.Password)
	put(section, "token", c.Token)
	put(section, "bearer_token", c.BearerToken)
	put(child(section, "basic_auth"), "username", c.BasicAuth.Username)
	put(child(section, "basic_auth"), "password", c.BasicAuth.Password)
	put(child(section, "authorization"), "credentials", c.Authorization.Credentials)
	put(child(section, "oauth2"), "client_id", c.OAuth2.ClientID)
	put(child(section, "oauth2"), "client_secret", c.OAuth2.ClientSecret)
	for name, h := range c.Headers {
		putList(child(child(section, "http_headers"), name), "values", h.Values)
		putList(child(child(section, "http_headers"), name), "secrets", h.Secrets)
	}
	for name, list := range c.ProxyHeaders {
		putList(child(section, "proxy_connect_header"), name, list)
	}
}

func child(section any, key string) any {
	m, _ := section.(map[string]any)
	return m[key]
}

func put(section any, key, text string) {
	if m, ok := section.(map[string]any); ok && m[key] != nil {
		m[key] = text
	}
}

func putList(section any, key string, list []string) {
	m, ok := section.(map[string]any)
	if !ok || m[key] == nil {
		return
	}
	texts := make([]any, len(list))
	for i, text := range list {
		texts[i] = text
	}
	m[key] = texts
}

// fractions returns an error for a number with a fraction or an exponent. No
// setting of service discovery is one, and the text of a label, of a regular
// expression or of a replacement would have changed: 1.10 is 1.1 by now.
func fractions(at string, value any) error {
	switch v := value.(type) {
	case float64:
		return fmt.Errorf("%s is the number %v; put text in quotes", at, v)
	case []any:
		for i, e := range v {
			if err := fractions(at+"["+strconv.Itoa(i)+"]", e); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			below := key
			if at != "" {
				below = at + "." + key
			}
			if err := fractions(below, v[key]); err != nil {
				return err
			}
		}
	}
	return nil
}
