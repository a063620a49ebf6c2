// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// An Exclusion is a [KnownStack] as data, so that a list of them can be kept in a file,
// reviewed and shared between services. All conditions that are set must hold; there
// must be at least one. Names of functions are full names, such as
// "example.com/shop/cart.(*Store).sweep" or "main.run.func1"; a * at the end stands for
// any rest, but not for the whole name.
type Exclusion struct {
	Name   string `json:"name"`   // identifies the entry
	Reason string `json:"reason"` // why waiting here is not a fault

	Function string `json:"function,omitempty"` // is anywhere on the stack
	Waits    string `json:"waits,omitempty"`    // is where the goroutine waits: the innermost frame outside the runtime
	Started  string `json:"started,omitempty"`  // is what the goroutine was started with
	Creator  string `json:"creator,omitempty"`  // has the go statement; see [KnownStack]
	Label    string `json:"label,omitempty"`    // a pprof label, "key=value", or "key" for any value; see [KnownStack]

	Owned bool `json:"owned,omitempty"` // see [KnownStack]
}

// An ExclusionList is the content of a file of exclusions. docs/known-stacks.md
// describes the format.
type ExclusionList struct {
	Exclusions []Exclusion `json:"exclusions"`
}

// Limits of [ReadExclusions].
const (
	maxExclusionBytes = 1 << 20
	maxExclusions     = 1000
)

// ReadExclusions reads an [ExclusionList] as JSON, at most 1 MiB with at most 1,000
// entries, and returns it in the form that WithKnownStacks takes. Names must differ. The
// error names each entry that is wrong, and its line; then there is no list.
func ReadExclusions(r io.Reader) ([]KnownStack, error) {
	known, err := readExclusions(r)
	if err != nil {
		return nil, fmt.Errorf("list of exclusions: %w", err)
	}
	return known, nil
}

func readExclusions(r io.Reader) ([]KnownStack, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxExclusionBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxExclusionBytes {
		return nil, errors.New("it is larger than 1 MiB; at most 1 MiB is accepted")
	}
	entries, err := entriesOf(data)
	if err != nil {
		return nil, err
	}
	known := make([]KnownStack, 0, len(entries))
	names := make(map[string]int)
	var errs []error
	for i, entry := range entries {
		k, err := entry.known()
		if first, ok := names[k.Name]; err == nil && ok {
			err = fmt.Errorf("entry %d has the same name; names must differ", first)
		} else if !ok {
			names[k.Name] = i
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("entry %d (%q, line %d): %w", i, k.Name, entry.line, err))
		}
		known = append(known, k)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return known, nil
}

// An exclusionEntry is one entry of a list, as it is in the file.
type exclusionEntry struct {
	data []byte
	line int
}

// entriesOf returns the entries of a list.
func entriesOf(data []byte) ([]exclusionEntry, error) {
	var all json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, malformed(data, err)
	}
	var list struct {
		Exclusions []json.RawMessage `json:"exclusions"`
	}
	if err := strictly(data, &list); err != nil {
		return nil, wrongField(err, "exclusions")
	}
	if n := len(list.Exclusions); n > maxExclusions {
		return nil, fmt.Errorf("there are %d entries; at most %d are accepted", n, maxExclusions)
	}
	entries := make([]exclusionEntry, 0, len(list.Exclusions))
	at := 0
	for _, raw := range list.Exclusions {
		at += max(0, bytes.Index(data[at:], raw)) // only spaces and a comma are between two
		entries = append(entries, exclusionEntry{raw, lineAt(data, at)})
		at += len(raw)
	}
	return entries, nil
}

func (e exclusionEntry) known() (KnownStack, error) {
	var x Exclusion
	if err := strictly(e.data, &x); err != nil {
		var named struct {
			Name string `json:"name"`
		}
		_ = json.Unmarshal(e.data, &named) // as far as it can be read
		return KnownStack{Name: named.Name}, wrongField(err, exclusionFields)
	}
	return x.Known()
}

// strictly decodes JSON that is well-formed; an unknown field is an error.
func strictly(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// exclusionFields are the fields of an entry, for messages.
const exclusionFields = "name, reason, function, waits, started, creator, label and owned"

// wrongField says what is accepted instead of a field that is unknown or of another
// type.
func wrongField(err error, accepted string) error {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return fmt.Errorf("%s; accepted: %s", strings.TrimPrefix(err.Error(), "json: "), accepted)
	}
	must := map[reflect.Kind]string{
		reflect.String: "a string", reflect.Bool: "true or false", reflect.Slice: "an array", reflect.Struct: "an object",
	}[wrong.Type.Kind()]
	what := "it"
	if wrong.Field != "" {
		what = fmt.Sprintf("the field %q", wrong.Field)
	}
	return fmt.Errorf("%s is of type %s; must be %s", what, wrong.Value, must)
}

// malformed says where data is not JSON.
func malformed(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	in := ""
	if i, ok := brokenEntry(data); ok {
		in = fmt.Sprintf("entry %d, ", i)
	}
	return fmt.Errorf("%sline %d, byte %d: %w", in, lineAt(data, int(syntax.Offset)-1), syntax.Offset, err)
}

// brokenEntry returns the first entry that is not JSON, if it is an entry that is not.
func brokenEntry(data []byte) (n int, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	for range 3 { // the brace, the name of the list, the bracket
		if _, err := d.Token(); err != nil {
			return 0, false
		}
	}
	for ; d.More(); n++ {
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return n, true
		}
	}
	return 0, false
}

// lineAt returns the line of a byte, from 1.
func lineAt(data []byte, at int) int {
	return 1 + bytes.Count(data[:max(0, min(at, len(data)))], []byte("\n"))
}

// Known returns x as a [KnownStack]. It returns an error when a name, a reason or a
// condition is missing, and when a pattern is not accepted.
func (x Exclusion) Known() (KnownStack, error) {
	k := KnownStack{Name: x.Name, Reason: x.Reason, Creator: x.Creator, Owned: x.Owned}
	k.Label.Key, k.Label.Value, _ = strings.Cut(x.Label, "=")
	if x.Function != "" || x.Waits != "" || x.Started != "" {
		k.Match = x.matches
	}
	switch {
	case x.Name == "":
		return k, errors.New("it has no name")
	case x.Reason == "":
		return k, errors.New("it has no reason")
	case x.Label != "" && k.Label.Key == "":
		return k, fmt.Errorf("the label is %q; must be key=value or key", x.Label)
	case k.Match == nil && k.Unconditional():
		return k, errors.New("it has no condition: function, waits, started, creator or label is needed")
	}
	return k, errors.Join(
		checkPattern("function", x.Function), checkPattern("waits", x.Waits),
		checkPattern("started", x.Started), checkPattern("creator", x.Creator))
}

func (x Exclusion) matches(s *goroutine.Stack) bool {
	visible := s.Visible()
	return (x.Function == "" || slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool { return hasName(x.Function, f.Function) })) &&
		(x.Waits == "" || len(visible) > 0 && hasName(x.Waits, visible[0].Function)) &&
		(x.Started == "" || hasName(x.Started, s.Entry().Function))
}
