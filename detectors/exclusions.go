package detectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// An Exclusion is a [KnownStack] as data, so that a list of them can be kept in a file,
// reviewed and shared between services. All conditions that are set must hold; there
// must be at least one. Names of functions are full names, such as
// "example.com/shop/cart.(*Store).sweep" or "main.run.func1"; a * at the end stands for
// any rest.
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
// entries, and returns it in the form that WithKnownStacks takes. The error names each
// entry that is wrong; then there is no list.
func ReadExclusions(r io.Reader) ([]KnownStack, error) {
	d := json.NewDecoder(io.LimitReader(r, maxExclusionBytes))
	d.DisallowUnknownFields()
	var list ExclusionList
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("list of exclusions: %w", err)
	}
	if len(list.Exclusions) > maxExclusions {
		return nil, fmt.Errorf("list of exclusions: there are %d entries; at most %d are accepted", len(list.Exclusions), maxExclusions)
	}
	known := make([]KnownStack, 0, len(list.Exclusions))
	var errs []error
	for i, x := range list.Exclusions {
		k, err := x.Known()
		if err != nil {
			errs = append(errs, fmt.Errorf("list of exclusions: entry %d (%q): %w", i, x.Name, err))
		}
		known = append(known, k)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return known, nil
}

// Known returns x as a [KnownStack]. It returns an error when a name, a reason or a
// condition is missing.
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
	return k, nil
}

func (x Exclusion) matches(s *goroutine.Stack) bool {
	visible := s.Visible()
	return (x.Function == "" || slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool { return hasName(x.Function, f.Function) })) &&
		(x.Waits == "" || len(visible) > 0 && hasName(x.Waits, visible[0].Function)) &&
		(x.Started == "" || hasName(x.Started, s.Entry().Function))
}
