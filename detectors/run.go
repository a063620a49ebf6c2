package detectors

import (
	"errors"
	"fmt"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// MaxFindings is how many findings one detector may report in one pass. What
// comes after is dropped and told in the error.
const MaxFindings = 100

// maxAsked bounds what a detector asks for; there are fewer sources.
const maxAsked = 10

// A Verdict is what one detector made of one snapshot.
type Verdict struct {
	Ran      bool // false when the snapshot lacks what the detector needs
	Findings []Finding
	Asked    []goroutine.Source // the closer looks that it asked for, each once
}

// Judge runs d over the newest snapshot of h. A panic of the detector comes
// back as an error; what was reported before an error or a panic counts. known
// is what waits by design, as for [Pass.Exclude], and may be nil.
func Judge(d *Detector, h *History, known []KnownStack) (v Verdict, err error) {
	p, ok := h.Pass(d.Needs)
	if !ok {
		return Verdict{}, nil
	}
	v.Ran = true
	p.Exclude(known)
	p.Ask = func(s goroutine.Source) bool {
		if !slices.Contains(v.Asked, s) && len(v.Asked) < maxAsked {
			v.Asked = append(v.Asked, s)
		}
		return h.Can != nil && h.Can(s)
	}
	dropped := 0
	p.Report = func(f Finding) {
		switch {
		case f.Stack == nil:
			err = errors.Join(err, errors.New("a finding without a stack was reported"))
		case len(v.Findings) >= MaxFindings:
			dropped++
		default:
			v.Findings = append(v.Findings, bounded(d, f))
		}
	}
	runErr := guarded(d, p)
	if dropped > 0 {
		err = errors.Join(err, fmt.Errorf("%d findings over the limit of %d were dropped", dropped, MaxFindings))
	}
	if err = errors.Join(runErr, err); err != nil {
		err = fmt.Errorf("detector %q: %w", d.Name, err)
	}
	return v, err
}

func guarded(d *Detector, p *Pass) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return d.Run(p)
}

// bounded makes f what the contract promises whatever a detector reported.
func bounded(d *Detector, f Finding) Finding {
	f.Detector = d.Name
	if f.Confidence < Info || f.Confidence > Certain {
		f.Confidence = Info
	}
	f.IDs = f.IDs[:min(len(f.IDs), goroutine.MaxIDs)]
	f.Evidence = f.Evidence[:min(len(f.Evidence), MaxEvidence)]
	return f
}
