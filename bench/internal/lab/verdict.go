package lab

import (
	"fmt"
	"slices"
)

// A Verdict says whether something that we promise holds in this run.
type Verdict struct {
	OK      bool   `json:"ok"`
	What    string `json:"what"`
	Figures string `json:"figures"`
}

// Judge returns a verdict.
func Judge(ok bool, what, figures string) Verdict { return Verdict{ok, what, figures} }

// String begins with PASS or MISS.
func (v Verdict) String() string {
	word := "MISS"
	if v.OK {
		word = "PASS"
	}
	return fmt.Sprintf("%s %s: %s", word, v.What, v.Figures)
}

// Missed reports whether any verdict is a MISS.
func Missed(all []Verdict) bool {
	return slices.ContainsFunc(all, func(v Verdict) bool { return !v.OK })
}
