// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package alertrules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"

	"github.com/VictoriaMetrics/metricsql"
)

// inVictoriaMetrics is the head of the generated file.
const inVictoriaMetrics = `# Generated from alerts.yaml by: go test ./alertrules -update
#
# For vmalert with a VictoriaMetrics that receives OTLP and keeps its names, with
# dots, which is its default. If the Collector writes to it by remote write, use
# alerts.yaml.
#
# What the other file calls job is service.name here, together with
# service.namespace, and instance is service.instance.id. These rules of
# alerts.yaml are missing because VictoriaMetrics has no target_info:
`

// VictoriaMetrics returns the rules with the names that VictoriaMetrics gives to
// what it receives by OTLP: those of OpenTelemetry.
func VictoriaMetrics(f File) ([]byte, error) {
	comment := inVictoriaMetrics
	renamed, err := f.change(func(r Rule) (Rule, bool, error) {
		if strings.Contains(r.Expr, "target_info") {
			comment += "# " + r.Alert + "\n"
			return r, false, nil
		}
		next, err := renameRule(r)
		return next, true, err
	})
	if err != nil {
		return nil, err
	}
	return encode(comment, renamed)
}

// renameRule renames everything in a rule, unless it is about the Collector
// itself: its own metrics are scraped, and their names have no dots.
func renameRule(r Rule) (Rule, error) {
	if strings.Contains(r.Expr, "otelcol_") {
		return r, nil
	}
	var err error
	if r.Expr, err = rename(r.Expr); err != nil {
		return r, err
	}
	if r.Expr, err = metricsql.Prettify(r.Expr); err != nil {
		return r, err
	}
	texts := r.Annotations
	r.Annotations = make(map[string]string)
	for name, text := range texts {
		if r.Annotations[name], err = renameInTemplate(text); err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, nil
}

// rename renames the metrics and labels of a query.
func rename(query string) (string, error) {
	expr, err := metricsql.Parse(query)
	if err != nil {
		return "", fmt.Errorf("query %q: %w", query, err)
	}
	metricsql.VisitAll(expr, func(e metricsql.Expr) {
		if err == nil {
			err = renameNode(e)
		}
	})
	return string(expr.AppendString(nil)), err
}

func renameNode(e metricsql.Expr) error {
	switch e := e.(type) {
	case *metricsql.MetricExpr:
		return renameSelector(e)
	case *metricsql.AggrFuncExpr:
		return renameAll(&e.Modifier.Args)
	case *metricsql.BinaryOpExpr:
		if err := renameAll(&e.GroupModifier.Args); err != nil {
			return err
		}
		return renameAll(&e.JoinModifier.Args)
	}
	return nil
}

func renameSelector(m *metricsql.MetricExpr) error {
	for _, filters := range m.LabelFilterss {
		for i := range filters {
			if err := renameFilter(&filters[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func renameFilter(f *metricsql.LabelFilter) error {
	if f.Label != "__name__" {
		name, err := renameLabel(f.Label)
		f.Label = name
		return err
	}
	m, suffix, ok := find(f.Value)
	if !ok {
		return fmt.Errorf("the metric %q is not in the catalog", f.Value)
	}
	f.Value = m.name + suffix
	return nil
}

// renameAll renames the labels by which a query groups. A label that two
// attributes make up becomes both of them.
func renameAll(labels *[]string) error {
	var all []string
	for _, l := range *labels {
		names, ok := attributes[l]
		if !ok {
			return fmt.Errorf("no metric has the label %q", l)
		}
		all = append(all, names...)
	}
	*labels = slices.Clip(all)
	return nil
}

// renameLabel renames a label whose value is compared or printed. Of a label that
// two attributes make up that is the first one.
func renameLabel(label string) (string, error) {
	names, ok := attributes[label]
	if !ok {
		return "", fmt.Errorf("no metric has the label %q", label)
	}
	return names[0], nil
}

func renameInTemplate(text string) (string, error) {
	t, err := parseTemplate(text)
	if err != nil {
		return "", err
	}
	if err := t.arguments(renameArgument); err != nil {
		return "", err
	}
	return t.String(), nil
}

// renameArgument renames what a command of a template names: the value of a
// label, a query, or a label as such.
func renameArgument(n parse.Node) (parse.Node, error) {
	if name, of := label(n); of != nil {
		name, err := renameLabel(name)
		return index(of, name), err
	}
	s, ok := n.(*parse.StringNode)
	if !ok {
		return n, nil
	}
	if _, ok := attributes[s.Text]; ok {
		name, err := renameLabel(s.Text)
		return text(name), err
	}
	query, err := renameFormat(s.Text)
	return text(query), err
}

// verb stands for %q, which is no string of a query, while the query is parsed.
const verb = `"%q"`

// renameFormat renames the names in a query in which the values of labels are
// still missing.
func renameFormat(format string) (string, error) {
	query, err := rename(strings.ReplaceAll(format, "%q", verb))
	return strings.ReplaceAll(query, verb, "%q"), err
}

func text(s string) parse.Node {
	return &parse.StringNode{NodeType: parse.NodeString, Quoted: strconv.Quote(s), Text: s}
}

// index returns (index of "name"): a name with dots is no field of a template.
func index(of parse.Node, name string) parse.Node {
	command := &parse.CommandNode{NodeType: parse.NodeCommand, Args: []parse.Node{parse.NewIdentifier("index"), of, text(name)}}
	return &parse.PipeNode{NodeType: parse.NodePipe, Cmds: []*parse.CommandNode{command}}
}
