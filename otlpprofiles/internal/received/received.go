// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package received reads OTLP profiles as the Collector does, and checks what the
// specification demands of them. It is for tests.
package received

import (
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pprofile"
)

// Only returns the only profile.
func Only(data pprofile.Profiles) (pprofile.Profile, error) {
	if data.ResourceProfiles().Len() != 1 {
		return pprofile.Profile{}, fmt.Errorf("%d resources", data.ResourceProfiles().Len())
	}
	scopes := data.ResourceProfiles().At(0).ScopeProfiles()
	if scopes.Len() != 1 || scopes.At(0).Profiles().Len() != 1 {
		return pprofile.Profile{}, fmt.Errorf("not one scope with one profile")
	}
	return scopes.At(0).Profiles().At(0), nil
}

// Stacks returns how many goroutines have each stack: the functions and lines, leaf first.
func Stacks(data pprofile.Profiles) (map[string]int64, error) {
	p, err := Only(data)
	if err != nil {
		return nil, err
	}
	d, counts := data.Dictionary(), make(map[string]int64)
	for _, s := range p.Samples().All() {
		if s.Values().Len() != 1 || s.TimestampsUnixNano().Len() != 0 {
			return nil, fmt.Errorf("a sample has %d values and %d times", s.Values().Len(), s.TimestampsUnixNano().Len())
		}
		counts[strings.Join(Frames(d, s), "\n")] += s.Values().At(0)
	}
	return counts, nil
}

// Frames returns the functions and lines of a sample, leaf first.
func Frames(d pprofile.ProfilesDictionary, s pprofile.Sample) (frames []string) {
	for _, at := range d.StackTable().At(int(s.StackIndex())).LocationIndices().All() {
		l := d.LocationTable().At(int(at))
		if l.Lines().Len() == 0 {
			frames = append(frames, Frame("", "", 0, l.Address()))
		}
		for _, line := range l.Lines().All() {
			f := d.FunctionTable().At(int(line.FunctionIndex()))
			frames = append(frames, Frame(text(d, f.NameStrindex()), text(d, f.FilenameStrindex()), line.Line(), l.Address()))
		}
	}
	return frames
}

// Frame is how [Frames] returns one.
func Frame(function, file string, line int64, address uint64) string {
	return fmt.Sprintf("%s %s:%d 0x%x", function, file, line, address)
}

// Attributes returns the attributes of a profile, a sample or a part of the dictionary.
func Attributes(d pprofile.ProfilesDictionary, of interface{ AttributeIndices() pcommon.Int32Slice }) map[string]any {
	all := make(map[string]any)
	for _, at := range of.AttributeIndices().All() {
		a := d.AttributeTable().At(int(at))
		all[text(d, a.KeyStrindex())] = a.Value().AsRaw()
	}
	return all
}

func text(d pprofile.ProfilesDictionary, at int32) string { return d.StringTable().At(int(at)) }

// A table is what Check counts references to.
type table struct {
	name string
	used []bool
}

func newTable(name string, size int) *table { return &table{name, make([]bool, size)} }

// refer notes a reference.
func (t *table) refer(at int32) error {
	if at < 0 || int(at) >= len(t.used) {
		return fmt.Errorf("index %d of the %s table, which has %d elements", at, t.name, len(t.used))
	}
	t.used[at] = true
	return nil
}

// orphan returns an error if an element but the zero value is not referred to.
func (t *table) orphan() error {
	if len(t.used) == 0 {
		return fmt.Errorf("the %s table has no zero value", t.name)
	}
	t.used[0] = true
	if i := slices.Index(t.used, false); i >= 0 {
		return fmt.Errorf("element %d of the %s table is not referred to", i, t.name)
	}
	return nil
}

// A checker follows the references in a message.
type checker struct {
	d                                                                  pprofile.ProfilesDictionary
	strings, attributes, mappings, functions, locations, stacks, links *table
	errs                                                               []error
}

// Check returns what a message has that the specification forbids: references to nothing,
// an element at index 0 that is not the zero value, elements twice or without a
// reference, samples of the same identity, keys twice.
func Check(data pprofile.Profiles) []error {
	d := data.Dictionary()
	c := &checker{d: d,
		strings: newTable("string", d.StringTable().Len()), attributes: newTable("attribute", d.AttributeTable().Len()),
		mappings: newTable("mapping", d.MappingTable().Len()), functions: newTable("function", d.FunctionTable().Len()),
		locations: newTable("location", d.LocationTable().Len()), stacks: newTable("stack", d.StackTable().Len()),
		links: newTable("link", d.LinkTable().Len()),
	}
	p, err := Only(data)
	if err != nil {
		return []error{err}
	}
	c.profile(p)
	c.tables()
	c.zero()
	for _, t := range []*table{c.strings, c.attributes, c.mappings, c.functions, c.locations, c.stacks, c.links} {
		c.add(t.orphan())
	}
	c.twice()
	return c.errs
}

func (c *checker) add(err error) {
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

func (c *checker) refer(t *table, all ...int32) {
	for _, at := range all {
		c.add(t.refer(at))
	}
}

func (c *checker) profile(p pprofile.Profile) {
	c.refer(c.strings, p.SampleType().TypeStrindex(), p.SampleType().UnitStrindex(), p.PeriodType().TypeStrindex(), p.PeriodType().UnitStrindex())
	c.keys(p.AttributeIndices())
	same := make(map[string]bool)
	for _, s := range p.Samples().All() {
		c.refer(c.stacks, s.StackIndex())
		c.refer(c.links, s.LinkIndex())
		c.keys(s.AttributeIndices())
		identity := fmt.Sprint(s.StackIndex(), s.LinkIndex(), slices.Sorted(slices.Values(s.AttributeIndices().AsRaw())))
		if same[identity] {
			c.add(fmt.Errorf("two samples have the identity %s", identity))
		}
		same[identity] = true
	}
}

// keys notes references to attributes, whose keys must differ.
func (c *checker) keys(indices pcommon.Int32Slice) {
	seen := make(map[int32]bool)
	for _, at := range indices.All() {
		c.refer(c.attributes, at)
		if int(at) >= c.d.AttributeTable().Len() {
			continue
		}
		key := c.d.AttributeTable().At(int(at)).KeyStrindex()
		if seen[key] {
			c.add(fmt.Errorf("the key of attribute %d occurs twice", at))
		}
		seen[key] = true
	}
}

func (c *checker) tables() {
	for _, s := range c.d.StackTable().All() {
		c.refer(c.locations, s.LocationIndices().AsRaw()...)
	}
	for _, l := range c.d.LocationTable().All() {
		c.refer(c.mappings, l.MappingIndex())
		c.keys(l.AttributeIndices())
		for _, line := range l.Lines().All() {
			c.refer(c.functions, line.FunctionIndex())
		}
	}
	for _, f := range c.d.FunctionTable().All() {
		c.refer(c.strings, f.NameStrindex(), f.SystemNameStrindex(), f.FilenameStrindex())
	}
	for _, m := range c.d.MappingTable().All() {
		c.refer(c.strings, m.FilenameStrindex())
		c.keys(m.AttributeIndices())
	}
	for _, a := range c.d.AttributeTable().All() {
		c.refer(c.strings, a.KeyStrindex(), a.UnitStrindex())
	}
}

// zero checks what is at index 0.
func (c *checker) zero() {
	if len(c.errs) > 0 {
		return
	}
	for name, zero := range map[string]bool{
		"string":    c.d.StringTable().Len() > 0 && c.d.StringTable().At(0) == "",
		"attribute": c.d.AttributeTable().Len() > 0 && c.d.AttributeTable().At(0).Equal(pprofile.NewKeyValueAndUnit()),
		"mapping":   c.d.MappingTable().Len() > 0 && c.d.MappingTable().At(0).Equal(pprofile.NewMapping()),
		"function":  c.d.FunctionTable().Len() > 0 && c.d.FunctionTable().At(0).Equal(pprofile.NewFunction()),
		"location":  c.d.LocationTable().Len() > 0 && c.d.LocationTable().At(0).Equal(pprofile.NewLocation()),
		"stack":     c.d.StackTable().Len() > 0 && c.d.StackTable().At(0).Equal(pprofile.NewStack()),
		"link":      c.d.LinkTable().Len() > 0 && c.d.LinkTable().At(0).TraceID().IsEmpty() && c.d.LinkTable().At(0).SpanID().IsEmpty(),
	} {
		if !zero {
			c.add(fmt.Errorf("index 0 of the %s table is not the zero value", name))
		}
	}
}

// twice checks that nothing is twice in a table.
func (c *checker) twice() {
	once(c, "string", c.d.StringTable().AsRaw(), func(s string) string { return s })
	once(c, "stack", list(c.d.StackTable().All()), func(s pprofile.Stack) string { return fmt.Sprint(s.LocationIndices().AsRaw()) })
	once(c, "link", list(c.d.LinkTable().All()), func(l pprofile.Link) string { return l.TraceID().String() + l.SpanID().String() })
	once(c, "function", list(c.d.FunctionTable().All()), func(f pprofile.Function) string {
		return fmt.Sprint(f.NameStrindex(), f.SystemNameStrindex(), f.FilenameStrindex(), f.StartLine())
	})
	once(c, "mapping", list(c.d.MappingTable().All()), func(m pprofile.Mapping) string {
		return fmt.Sprint(m.MemoryStart(), m.MemoryLimit(), m.FileOffset(), m.FilenameStrindex(), m.AttributeIndices().AsRaw())
	})
	once(c, "attribute", list(c.d.AttributeTable().All()), func(a pprofile.KeyValueAndUnit) string {
		return fmt.Sprintf("%d %d %T %#v", a.KeyStrindex(), a.UnitStrindex(), a.Value().AsRaw(), a.Value().AsRaw())
	})
	once(c, "location", list(c.d.LocationTable().All()), func(l pprofile.Location) string {
		key := fmt.Sprint(l.MappingIndex(), l.Address(), l.AttributeIndices().AsRaw())
		for _, line := range l.Lines().All() {
			key += fmt.Sprint("|", line.FunctionIndex(), line.Line(), line.Column())
		}
		return key
	})
}

// list returns the elements of a table without their indices.
func list[T any](all func(func(int, T) bool)) (elements []T) {
	for _, e := range all {
		elements = append(elements, e)
	}
	return elements
}

func once[T any](c *checker, name string, elements []T, key func(T) string) {
	seen := make(map[string]bool, len(elements))
	for i, e := range elements {
		k := key(e)
		if seen[k] {
			c.add(fmt.Errorf("element %d of the %s table is there twice", i, name))
		}
		seen[k] = true
	}
}
