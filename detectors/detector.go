package detectors

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// A Detector looks for one kind of trouble. Its fields must not change once it
// is in use; one value may serve any number of monitors at the same time.
type Detector struct {
	// Name identifies the detector: it is the value of the attribute
	// goroutine.detector.name. Lower case letters, digits and underscores,
	// starting with a letter, at most 40 bytes.
	Name string

	// Doc says what the detector finds. The first sentence is shown alone.
	Doc string

	// Needs is what Run relies on. Where it is not given, Run is not called.
	Needs Needs

	// Run looks at a pass and reports what it finds through Pass.Report. It
	// runs on one goroutine at a time, must not keep the pass, and takes time
	// in the order of the snapshot's groups, not of its goroutines. What was
	// reported before an error counts.
	Run func(*Pass) error

	// config is what is wrong with the configuration that a constructor was
	// given. Constructors return no error, so that a list of detectors reads
	// like one; Validate tells.
	config error
}

// Needs is what a detector relies on.
type Needs struct {
	// IDs: snapshots whose source knows goroutine IDs. The detector is given
	// only such snapshots; with a source that has none it does not run.
	IDs bool

	// History is how far back Pass.History should reach. It is kept at
	// reduced density the further back it goes (see [History]). At most 24 h.
	History time.Duration
}

// A Pass is one look of one detector at one snapshot. More fields may be
// added.
type Pass struct {
	// Snapshot is what is to be judged.
	Snapshot *goroutine.Snapshot

	// History holds earlier snapshots of the same process, oldest first, not
	// including Snapshot. It is shared: read only.
	History []*goroutine.Snapshot

	// Started is when the observation began: the time of the first snapshot,
	// whether or not History still reaches that far.
	Started time.Time

	// Known reports whether a stack belongs to the named list of stacks that
	// wait by design (see [KnownGood]) or to those that the user excluded.
	// Never nil.
	Known func(*goroutine.Stack) bool

	// Owned reports whether a stack for which Known is true belongs to what
	// the program itself makes and has to close (see [KnownStack]). Never nil.
	Owned func(*goroutine.Stack) bool

	// Closer holds the newest closer look of each kind that was ever taken, by
	// its source. It may be long ago: its time tells. Shared: read only.
	Closer map[goroutine.Source]*goroutine.Snapshot

	// Windows tells which goroutines were woken in the latest windows, oldest
	// first, at most [MaxWindows]. Shared: read only.
	Windows []Window

	// Ask asks for a closer look at a suspicion: a [goroutine.SourceProof], or
	// a [goroutine.SourceWindow]. If the user's options, its cost and the time
	// since the last one allow, it is taken at once, and Run is called again
	// with it in Closer; only what that call reports counts. Else nothing
	// happens. Ask returns false when such a look cannot be had, now or soon:
	// then there is no point in waiting for it. Never nil while Run runs.
	Ask func(goroutine.Source) bool

	// Report takes a finding. Never nil while Run runs.
	Report func(Finding)
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

// A Finding is one trouble as one pass sees it. Findings of later passes with
// the same detector, stack ID, state and subject are the same trouble.
type Finding struct {
	Detector   string // set by the engine
	Confidence Confidence

	// Stack is where the trouble is; never nil in what Report takes. State
	// may be empty when the finding spans several.
	Stack *goroutine.Stack
	State goroutine.State
	// Subject tells apart findings at one stack: the address of a lock, say.
	// Empty where there is nothing to tell apart.
	Subject string

	Count           int           // goroutines concerned
	GrowthPerMinute float64       // goroutines a minute; 0 when it does not grow
	Age             time.Duration // how long it has been so, at least
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

// Identity is what stays the same while a trouble lasts.
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
		errs = append(errs, fmt.Errorf("Needs.History is %v; allowed are 0 to %v", d.Needs.History, MaxHistory))
	}
	return errors.Join(errs...)
}
