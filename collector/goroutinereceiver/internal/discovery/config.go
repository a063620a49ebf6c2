// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/model/relabel"
	"go.opentelemetry.io/collector/confmap"
	"go.yaml.in/yaml/v2" // the one of Prometheus, whose types read themselves with it
)

const (
	defaultScheme = "http"
	defaultPath   = "/debug/pprof/"
)

// A Config is a job: where targets are found, and how they are relabeled. It is
// read from the Collector's configuration and cannot be made otherwise.
type Config struct {
	name    string
	scheme  string
	path    string
	relabel []*relabel.Config
	finders discovery.Configs
}

// Name returns the name of the job.
func (c *Config) Name() string { return c.name }

// Configs are the jobs of a receiver.
type Configs []Config

var _ confmap.Unmarshaler = (*Config)(nil)

// Validate returns an error if two jobs have one name: its targets would be
// confused.
func (cs Configs) Validate() error {
	seen := make(map[string]bool, len(cs))
	for _, c := range cs {
		if seen[c.name] {
			return fmt.Errorf("two jobs of discovery have the %s %q; names must be unique", keyName, c.name)
		}
		seen[c.name] = true
	}
	return nil
}

// Unmarshal reads a job. All errors name it.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	values := conf.ToStringMap()
	name, _ := values[keyName].(string)
	if name == "" {
		return fmt.Errorf("a job of discovery has no %s; it must be text, and becomes the label job and the service's name", keyName)
	}
	read := Config{name: name, scheme: defaultScheme, path: defaultPath}
	if err := read.read(conf, values); err != nil {
		return fmt.Errorf("discovery, job %q: %w", name, err)
	}
	*c = read
	return nil
}

func (c *Config) read(conf *confmap.Conf, values map[string]any) error {
	if err := exactText(conf, values); err != nil {
		return err
	}
	if err := fractions("", values); err != nil {
		return err
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(values)) {
		errs = append(errs, c.readKey(key, values[key]))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(c.finders) == 0 {
		return fmt.Errorf("nothing says where to find targets; add %s or one of the *_sd_configs", keyStatic)
	}
	return nil
}

func (c *Config) readKey(key string, value any) error {
	switch key {
	case keyName:
		return nil
	case keyScheme:
		return c.readScheme(value)
	case keyPath:
		return c.readPath(value)
	case keyRelabel:
		return each(key, value, c.readRule)
	case keyStatic:
		return c.readStatic(value)
	}
	newFinder, known := kinds[key]
	if !known {
		return unknown(key)
	}
	return each(key, value, func(section any) error {
		finder := newFinder()
		if err := strictly(section, finder); err != nil {
			return err
		}
		c.finders = append(c.finders, finder)
		return nil
	})
}

func (c *Config) readScheme(value any) error {
	if value != "http" && value != "https" {
		return fmt.Errorf("%s is %v; it must be http or https", keyScheme, value)
	}
	c.scheme = value.(string)
	return nil
}

func (c *Config) readPath(value any) error {
	path, ok := value.(string)
	if !ok || !strings.HasPrefix(path, "/") {
		return fmt.Errorf("%s is %v; it must be a path that begins with /, such as %s", keyPath, value, defaultPath)
	}
	if err := checkPath(path); err != nil {
		return fmt.Errorf("%s: %w", keyPath, err)
	}
	c.path = path
	return nil
}

func (c *Config) readRule(section any) error {
	rule := new(relabel.Config)
	if err := strictly(section, rule); err != nil {
		return err
	}
	if err := rule.Validate(model.UTF8Validation); err != nil {
		return err
	}
	c.relabel = append(c.relabel, rule)
	return nil
}

// readStatic makes one finder of all groups, as Prometheus does.
func (c *Config) readStatic(value any) error {
	var groups discovery.StaticConfig
	err := each(keyStatic, value, func(section any) error {
		group := new(targetgroup.Group)
		if err := strictly(section, group); err != nil {
			return err
		}
		if len(group.Targets) == 0 {
			return errors.New("no targets; add a list of addresses, such as targets: [\"host:6060\"]")
		}
		group.Source = fmt.Sprint(len(groups))
		groups = append(groups, group)
		return nil
	})
	if len(groups) > 0 {
		c.finders = append(c.finders, groups)
	}
	return err
}

// each calls read with the elements of a list. Errors name the element.
func each(key string, value any, read func(any) error) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("%s must be a list, and is %s", key, shape(value))
	}
	for i, section := range list {
		if _, ok := section.(map[string]any); !ok {
			return fmt.Errorf("%s[%d] must have keys and values, and is %s", key, i, shape(section))
		}
		if err := read(section); err != nil {
			return fmt.Errorf("%s[%d]: %w", key, i, err)
		}
	}
	return nil
}

// shape says what a value is without showing it: it may be a secret in the wrong
// place.
func shape(value any) string {
	switch value.(type) {
	case nil:
		return "empty"
	case map[string]any:
		return "one set of keys and values"
	case []any:
		return "a list"
	case string:
		return "text"
	}
	return "a number or a truth value"
}

// strictly reads a section as Prometheus reads it from its own file, with its
// defaults and checks.
func strictly(section any, into any) error {
	text, err := yaml.Marshal(section)
	if err != nil {
		return err
	}
	return plain(yaml.UnmarshalStrict(text, into))
}

// yamlField is how the YAML library names a key that no field has. The line is one
// of the text made by strictly, which users have not seen, and the type is a name
// within Prometheus.
var (
	yamlField = regexp.MustCompile(`^line \d+: field (\S+) not found in type \S+$`)
	yamlLine  = regexp.MustCompile(`^line \d+: `)
	yamlType  = regexp.MustCompile("^cannot unmarshal !!(\\w+) (`.*`)? ?into \\S+$")
)

// plain says what the YAML library found without lines and types of Go.
func plain(err error) error {
	var many *yaml.TypeError
	if !errors.As(err, &many) {
		return err
	}
	var said []error
	for _, text := range many.Errors {
		if m := yamlField.FindStringSubmatch(text); m != nil {
			said = append(said, fmt.Errorf("unknown key %q", m[1]))
			continue
		}
		text = yamlLine.ReplaceAllString(text, "")
		if m := yamlType.FindStringSubmatch(text); m != nil {
			text = strings.TrimSpace(fmt.Sprintf("a value has the wrong type, %s %s", m[1], m[2]))
		}
		said = append(said, errors.New(text))
	}
	return errors.Join(said...)
}
