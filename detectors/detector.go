package detectors

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// A Detector finds one kind of fault. Its fields must not change once it
// is in use; one value may serve any number of monitors at the same time.
type Detector struct {
	// Name identifies the detector: it is the value of the attribute
	// goroutine.detector.name. Lower case letters, digits and underscores,
	// starting with a letter, at most 40 bytes.
	Name string

	// Doc says what the detector finds. The first sentence is shown alone
	// where detectors are listed.
	Doc string

	// Needs is what Run relies on. Where it is not given, Run is not called.
	Needs Needs

	// Run judges a pass and reports what it finds through Pass.Report. It is
	// called from one goroutine at a time, must not keep the pass, and should
	// take time in proportion to the snapshot's groups, not its goroutines.
	// What was reported before an error counts. A panic is survived and
	// counts as an error.
	Run func(*Pass) error

	// config is what is wrong with the configuration given to a constructor.
	// Constructors return no error, so that a list of detectors reads like
	// one; Validate reports it.
	config error
}

// Needs is what a detector relies on.
type Needs struct {
	// IDs: snapshots whose source knows goroutine IDs. The detector is given
	// only such snapshots; with a source that has none it does not run.
	IDs bool

	// History is how far back Pass.History should reach. The further back,
	// the further apart its snapshots are. At most [MaxHistory].
	History time.Duration
}

// A Pass is what one detector is given to judge one snapshot. More fields may
// be added.
type Pass struct {
	// Snapshot is what is to be judged.
	Snapshot *goroutine.Snapshot

	// History holds earlier snapshots of the same process, oldest first, not
	// including Snapshot. It is shared: read only.
	History []*goroutine.Snapshot

	// Started is the time of the first snapshot of the process, whether or
	// not History still reaches that far.
	Started time.Time

	// Known reports whether a stack is on the list of stacks that wait by
	// design (see [KnownGood]) or was excluded by the user. Never nil.
	Known func(*goroutine.Stack) bool

	// Owned reports whether a stack for which Known is true belongs to what
	// the program itself makes and has to close (see [KnownStack]). Never nil.
	Owned func(*goroutine.Stack) bool

	// Inspections holds the newest closer inspection of each kind, by its
	// source. It may have been taken long ago: see its time. Shared: read only.
	Inspections map[goroutine.Source]*goroutine.Snapshot

	// Windows tells which goroutines were woken in the latest trace windows,
	// oldest first. Shared: read only.
	Windows []Window

	// Ask asks for a closer inspection of a suspicion: a leak proof
	// ([goroutine.SourceProof]) or a trace window ([goroutine.SourceWindow]).
	// If the user's options, its cost and the time since the last one allow,
	// it is taken at once, and Run is called again with it in Inspections;
	// only what that call reports counts. Otherwise nothing happens. Ask
	// returns false when such an inspection cannot be had, now or soon: then
	// there is no point in waiting for it. Never nil while Run runs.
	Ask func(goroutine.Source) bool

	// Report takes a finding. Never nil while Run runs.
	Report func(Finding)

	shared *shared // by all passes over one snapshot
}

// NewestKept is how many of the newest snapshots a pass always has, [Pass.Snapshot]
// included, provided that so many were taken: [Pass.History] is thinned only
// beyond those.
const NewestKept = places.Whole

// NewPass returns a pass over a series of snapshots of one process, oldest
// first, of which the last is to be judged. It excludes nothing, its Ask
// promises nothing, and its Report drops what it is given: set what differs.
// series must not be empty and must not change while the pass is in use.
func NewPass(series []*goroutine.Snapshot) *Pass {
	last := len(series) - 1
	p := &Pass{
		Snapshot: series[last],
		History:  series[:last:last],
		Started:  series[0].Time,
		Ask:      func(goroutine.Source) bool { return false },
		Report:   func(Finding) {},
		shared:   new(shared),
	}
	p.Exclude(nil)
	return p
}

// For returns a copy of p for a detector with these needs, and false when
// there is nothing that it could judge.
func (p *Pass) For(needs Needs) (*Pass, bool) {
	own := *p
	if !needs.IDs {
		return &own, true
	}
	if !p.Snapshot.HasIDs() {
		return nil, false
	}
	own.History = places.WithIDs(p.History)
	return &own, true
}

// Exclude sets Known and Owned to what list says. Where several entries match,
// the first one counts.
func (p *Pass) Exclude(list []KnownStack) {
	p.Known = func(s *goroutine.Stack) bool {
		_, ok := lookup(list, s)
		return ok
	}
	p.Owned = func(s *goroutine.Stack) bool {
		k, ok := lookup(list, s)
		return ok && k.Owned
	}
}

// Confidence is how sure a finding is, weakest first.
type Confidence int

// The levels of confidence.
const (
	Info      Confidence = iota + 1 // worth knowing, not a fault
	Medium                          // a fault or an unusual but sound program
	Suspected                       // most likely a fault
	Confirmed                       // suspected, and the runtime proved it
	High                            // a fault, save in a program built to look like one
	Certain                         // cannot be otherwise
)

var confidences = [...]string{Info: "info", Medium: "medium", Suspected: "suspected", Confirmed: "confirmed", High: "high", Certain: "certain"}

// String returns the value of the attribute goroutine.finding.confidence.
func (c Confidence) String() string {
	if c < Info || c > Certain {
		return fmt.Sprintf("confidence(%d)", int(c))
	}
	return confidences[c]
}

// Confidences returns all levels, weakest first.
func Confidences() []Confidence {
	return []Confidence{Info, Medium, Suspected, Confirmed, High, Certain}
}

// A Finding is one fault as one pass sees it. Findings of later passes with
// the same detector, stack ID, state and subject are the same fault.
type Finding struct {
	// Set by the engine that runs the detectors. ID is 16 hexadecimal digits
	// and stays the same from the first pass with the finding to its end;
	// Opened is the time of that first pass.
	ID       string
	Opened   time.Time
	Detector string

	Confidence Confidence

	// Stack is where the fault is; never nil in what Report takes. State
	// may be empty when the finding spans several.
	Stack *goroutine.Stack
	State goroutine.State
	// Subject tells apart findings at one stack: the address of a lock, say.
	// Empty where there is nothing to tell apart.
	Subject string

	Count           int           // goroutines concerned
	GrowthPerMinute float64       // goroutines a minute; 0 when it does not grow
	Age             time.Duration // minimum duration of the condition
	IDs             []uint64      // some of the goroutines, oldest first, at most goroutine.MaxIDs
	CreatedBy       goroutine.Frame

	// Message is one sentence for a person on call. Evidence is short
	// sentences with the numbers behind it, at most [MaxEvidence].
	Message  string
	Evidence []string
	Advice   string // what to do next, one sentence; empty when there is nothing to say
}

// MaxEvidence is how many sentences of evidence a finding carries at most.
const MaxEvidence = 8

// Identity is what stays the same while a fault lasts.
type Identity struct {
	Detector string
	Stack    goroutine.StackID
	State    goroutine.State
	Subject  string
}

// Identity returns the identity of f.
func (f *Finding) Identity() Identity {
	id := Identity{Detector: f.Detector, State: f.State, Subject: f.Subject}
	if f.Stack != nil {
		id.Stack = f.Stack.ID
	}
	return id
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// MaxHistory is the furthest back that Needs.History may ask for.
const MaxHistory = 24 * time.Hour

// Validate returns an error that names every mistake in a set of detectors:
// nil entries, bad or repeated names, no Run function, an impossible history,
// and whatever a constructor did not accept in its configuration.
func Validate(ds []*Detector) error {
	var errs []error
	seen := make(map[string]bool)
	for i, d := range ds {
		if d == nil {
			errs = append(errs, fmt.Errorf("detector %d is nil", i))
			continue
		}
		if err := d.validate(); err != nil {
			errs = append(errs, fmt.Errorf("detector %d (%q): %w", i, d.Name, err))
		}
		if seen[d.Name] {
			errs = append(errs, fmt.Errorf("detector %d (%q): the name is taken by an earlier detector", i, d.Name))
		}
		seen[d.Name] = true
	}
	return errors.Join(errs...)
}

func (d *Detector) validate() error {
	var errs []error
	if !validName.MatchString(d.Name) {
		errs = append(errs, errors.New("the name must be 1 to 40 lower case letters, digits and underscores, starting with a letter"))
	}
	if d.Run == nil {
		errs = append(errs, errors.New("it has no Run function"))
	}
	if d.config != nil {
		errs = append(errs, d.config)
	}
	if d.Needs.History < 0 || d.Needs.History > MaxHistory {
		errs = append(errs, fmt.Errorf("Needs.History is %v; it must be 0 to %v", d.Needs.History, MaxHistory))
	}
	return errors.Join(errs...)
}
