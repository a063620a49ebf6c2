// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package alertrules

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// A File is a file of alerting rules, in the format of Prometheus.
type File struct {
	Groups []Group `yaml:"groups"`
}

// A Group is a group of rules that are evaluated together.
type Group struct {
	Name     string `yaml:"name"`
	Interval string `yaml:"interval,omitempty"` // empty: as in the configuration of Prometheus
	Rules    []Rule `yaml:"rules"`
}

// A Rule is an alerting rule.
type Rule struct {
	Alert         string            `yaml:"alert"`
	Expr          string            `yaml:"expr"`
	For           string            `yaml:"for,omitempty"`
	KeepFiringFor string            `yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `yaml:"labels"`
	Annotations   map[string]string `yaml:"annotations"`
}

// Parse parses a file of alerting rules. A field that this package does not know
// is an error, because it would be missing from the generated files.
func Parse(text []byte) (File, error) {
	var f File
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return File{}, fmt.Errorf("alerting rules: %w", err)
	}
	return f, nil
}

// change returns the rules changed by fn. A rule for which fn returns false is
// left out, and so is a group without rules.
func (f File) change(fn func(Rule) (Rule, bool, error)) (File, error) {
	var changed File
	for _, g := range f.Groups {
		rules := g.Rules
		g.Rules = nil
		for _, r := range rules {
			next, keep, err := fn(r)
			if err != nil {
				return File{}, fmt.Errorf("alert %s: %w", r.Alert, err)
			}
			if keep {
				g.Rules = append(g.Rules, next)
			}
		}
		if len(g.Rules) > 0 {
			changed.Groups = append(changed.Groups, g)
		}
	}
	return changed, nil
}

// encode writes a value as YAML, after a comment.
func encode(comment string, value any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(comment)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(value); err != nil {
		return nil, err
	}
	return b.Bytes(), e.Close()
}
