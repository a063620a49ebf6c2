// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// A Detector finds one kind of fault. Its fields must not change once it is in
// use. One Detector may be used by several monitors at the same time.
type Detector struct {
	// Name identifies the detector and is the value of the attribute
	// goroutine.detector.name. It has 1 to 40 lower case letters, digits and
	// underscores and starts with a letter.
	Name string

	// Doc describes what the detector finds. Lists of detectors show only its
	// first sentence.
	Doc string

	// Needs describes what Run requires. Run is not called when the snapshots do
	// not provide it.
	Needs Needs

	// Yields names detectors whose findings explain more about the same goroutines:
	// a finding of this detector becomes part of theirs while they have one. Two
	// findings are about the same goroutines when they have a place (stack ID and
	// state, also of participants) or a listed goroutine in common. One about the
	// process as a whole yields when the others explain most of it. Names that are
	// not in use are ignored, and so is one that would make a circle.
	Yields []string

	// Run judges a pass and reports findings through Pass.Report. It is called
	// from one goroutine at a time and must not keep the pass. Its running time
	// should be proportional to the number of groups in the snapshot, not of
	// goroutines. Findings reported before an error are kept. A panic is recovered
	// and treated as an error.
	Run func(*Pass) error

	// config is the error in the configuration passed to a constructor.
	// Constructors return no error, so that they can be called within a list of
	// detectors. Validate reports the error.
	config error
}

// Needs describes what a detector requires.
type Needs struct {
	// IDs requires snapshots with goroutine IDs. The detector receives only such
	// snapshots and does not run when the source has no IDs.
	IDs bool

	// History is how far back Pass.History should reach, at most [MaxHistory].
	// Older snapshots are spaced further apart.
	History time.Duration
}

// A Pass is the input of one detector for judging one snapshot. Fields may be
// added in later versions.
type Pass struct {
	// Snapshot is the snapshot to judge.
	Snapshot *goroutine.Snapshot

	// History holds earlier snapshots of the same process, oldest first, not
	// including Snapshot. It is shared and must not be modified.
	History []*goroutine.Snapshot

	// Started is the time of the first snapshot of the process, whether or
	// not History still reaches that far.
	Started time.Time

	// Known reports whether a stack waits by design (see [KnownGood]) or was
	// excluded by the user. It is never nil.
	Known func(*goroutine.Stack) bool

	// Owned reports whether a stack for which Known is true belongs to a resource
	// that the program itself creates and must close (see [KnownStack]). It is
	// never nil.
	Owned func(*goroutine.Stack) bool

	// Timers reports whether goroutines that wait with a stack may wait for a timer, by
	// the code of the functions on it. known is false when that is not known, as for
	// snapshots of another process. nil: never known.
	Timers func(s *goroutine.Stack) (may, known bool)

	// Inspections holds the newest closer inspection of each kind, by its source.
	// An inspection may be old: check its Time. The map and its contents are
	// shared and must not be modified.
	Inspections map[goroutine.Source]*goroutine.Snapshot

	// Windows records which goroutines were woken in the latest trace windows,
	// oldest first. It is shared and must not be modified.
	Windows []Window

	// Ask requests a closer inspection of a suspected fault: a leak proof
	// ([goroutine.SourceProof]), a trace window ([goroutine.SourceWindow]), a goroutine
	// dump ([goroutine.SourceText]) or a trace with the queues for locks
	// ([goroutine.SourceLocks]). If
	// the user's options, the cost and the time since the last inspection permit,
	// it is taken as soon as all detectors have run. Run is then called again with
	// the inspection in Inspections, and only the findings of that call count.
	// Otherwise nothing happens. Ask returns false when such an inspection is
	// unavailable now and will not be available soon, so there is no point in
	// waiting for it. It is never nil while Run runs.
	Ask func(goroutine.Source) bool

	// Sockets returns what the kernel knows of the TCP sockets of this process, read
	// at most once for a snapshot. Reading takes microseconds for each, so call it on
	// a suspicion only; from then on in every pass, because how long a peer has been
	// gone is known only from the first time that it was seen. The error says why
	// sockets are unknown: the snapshot is of another process, the platform does not tell, or
	// a sandbox refuses. It is never nil while Run runs.
	Sockets func() (*goroutine.Sockets, error)

	// Attend says that Run suspects a fault and could tell it sooner with more
	// snapshots. If the budget permits, the next ones are taken at shorter intervals
	// than usual, for as long as each pass asks for it. It is never nil while Run
	// runs.
	Attend func()

	// Report records a finding. It is never nil while Run runs.
	Report func(Finding)

	// Candidate names a place that Run suspects although a verdict is not possible
	// yet, and what is missing. Candidates are shown with the findings, by the page,
	// by reports and in [Status.Candidates], and are never events. At most 10 places
	// of a detector are kept, those that come first; a second one about the same stack
	// and state replaces the first. Those about the place of a finding that is open
	// are not shown. It is never nil while Run runs.
	Candidate func(Candidate)

	// Abstain records that Run cannot judge everything that it should, so that
	// finding nothing means nothing: the history is too short ([ReasonShortHistory]),
	// goroutine IDs are missing ([ReasonNoIDs]), or it waits for an inspection
	// before it reports what it suspects ([ReasonInspection]). detail says the same
	// to people, with numbers, in a clause that follows "not judging: ". The first
	// call counts. Findings that are reported nevertheless are kept. A detector that
	// does not call it counts as judging. It is never nil while Run runs.
	Abstain func(r Reason, detail string)

	// AbstainUntil is Abstain with [ReasonShortHistory], and with the earliest time at
	// which Run can judge if snapshots keep coming as they have; zero when that is not
	// known. detail does not repeat it. It is never nil while Run runs.
	AbstainUntil func(at time.Time, detail string)

	shared *shared // by all passes over one snapshot
}

// NewestKept is the number of newest snapshots, including [Pass.Snapshot], that
// are never thinned out of a pass. [Pass.History] is thinned only beyond those.
const NewestKept = places.Whole

// NewPass returns a pass that judges the last snapshot in series, which holds
// snapshots of one process, oldest first. The pass excludes no stacks, its Ask
// always returns false, its Sockets are unknown, and its Attend, Report, Candidate,
// Abstain and AbstainUntil do nothing; callers may replace each of these. series must not be empty and
// must not change while the pass is in use.
func NewPass(series []*goroutine.Snapshot) *Pass {
	last := len(series) - 1
	p := &Pass{
		Snapshot:     series[last],
		History:      series[:last:last],
		Started:      series[0].Time,
		Ask:          func(goroutine.Source) bool { return false },
		Sockets:      func() (*goroutine.Sockets, error) { return nil, ErrNoSockets },
		Attend:       func() {},
		Report:       func(Finding) {},
		Candidate:    func(Candidate) {},
		Abstain:      func(Reason, string) {},
		AbstainUntil: func(time.Time, string) {},
		shared:       new(shared),
	}
	p.Exclude(nil)
	return p
}

// ErrNoSockets says that there is no access to the sockets of the process that a
// snapshot is of.
var ErrNoSockets = errors.New("the sockets of this process cannot be read from here")

// For returns a copy of p for a detector with the given needs. It returns false
// when p cannot meet them.
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

// Exclude sets Known and Owned from list. When several entries match a stack,
// the first one applies. Each stack is looked up once.
func (p *Pass) Exclude(list []KnownStack) {
	type answer struct{ known, owned bool }
	answers := make(map[*goroutine.Stack]answer)
	ask := func(s *goroutine.Stack) answer {
		a, ok := answers[s]
		if !ok {
			k, known := lookup(list, s)
			a = answer{known, known && k.Owned}
			answers[s] = a
		}
		return a
	}
	p.Known = func(s *goroutine.Stack) bool { return ask(s).known }
	p.Owned = func(s *goroutine.Stack) bool { return ask(s).owned }
}

// Confidence is how certain a finding is. Higher values are more certain.
type Confidence int

// The levels of confidence.
const (
	Info      Confidence = iota + 1 // worth knowing, not a fault
	Medium                          // a fault, or an unusual but correct program
	Suspected                       // most likely a fault
	Confirmed                       // suspected, and the runtime proved it
	High                            // a fault, except in a program built to look like one
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

// A Finding describes one fault as seen in one pass. Findings of later passes
// with the same detector, stack ID, state and subject describe the same fault.
type Finding struct {
	// ID, Opened and Detector are set by the engine that runs the detectors. ID
	// has 16 hexadecimal digits and does not change until the finding is resolved,
	// even if a detector that explains more takes over: then Detector changes.
	// Opened is the time of the first pass with the finding.
	ID       string
	Opened   time.Time
	Detector string

	Confidence Confidence

	// Stack is where the fault is. It must not be nil when the finding is
	// reported. State may be empty when the finding spans several states.
	Stack *goroutine.Stack
	State goroutine.State
	// Subject distinguishes findings at the same stack, for example by the address
	// of a lock. It is empty when there is nothing to distinguish.
	Subject string

	Count           int           // number of goroutines affected
	GrowthPerMinute float64       // in goroutines per minute; 0 when the number does not grow
	Age             time.Duration // minimum duration of the condition
	IDs             []uint64      // some of the goroutines, oldest first, at most goroutine.MaxIDs
	CreatedBy       goroutine.Frame

	// Participants are the places of a fault that has several, the cause first;
	// at most [MaxParticipants]. Stack and State are those of one of them. It is
	// empty when the fault has one place.
	Participants []Participant

	// Stands says that the fault is that goroutines do not move. Such a finding is
	// resolved when the goroutines in IDs, and those of all participants but the
	// affected ones and holders, have left their places and few others of it remain,
	// and not before that, even if later passes cannot tell the fault any more. Until
	// then, passes that do not find it bring its numbers and texts up to date. A
	// finding without it is resolved when three passes judged and did not find it.
	Stands bool

	// Unjudged says why the newest passes could not judge a finding that is still
	// open, as a clause without a full stop; empty while they do. Set by the engine.
	Unjudged string

	// Labels are pprof labels of its goroutines, at most [MaxLabelValues] different
	// values for each of the keys that the user allowed: by key in the order in which
	// they were allowed, the value of the most goroutines first. Traces are at most
	// [MaxTraces] different traces that labels name, those of the first participant
	// first; of the goroutines at one place, those of the oldest if a goroutine dump
	// shows labels, otherwise those of the most. Both were read when the finding was
	// opened, and are read again when its number has doubled and after an hour. The engine
	// sets those that the detector does not report.
	Labels []goroutine.Label
	Traces []Trace

	// Message is one sentence for the person on call. Evidence holds short
	// sentences with the numbers behind it, at most [MaxEvidence] of them.
	Message  string
	Evidence []string
	Advice   string // what to do next, in one sentence; empty when there is no advice
}

// A Participant is one of the places of a fault.
type Participant struct {
	Role      Role
	Stack     *goroutine.Stack
	State     goroutine.State
	Subject   string // as in [Finding]
	Count     int    // number of goroutines
	IDs       []uint64
	CreatedBy goroutine.Frame
	Note      string // what it has to do with the fault, as a clause without a full stop; may be empty
}

// A Role is the part that goroutines have in a fault. The set is closed.
type Role string

// The roles.
const (
	RoleCause    Role = "cause"    // got stuck first
	RoleHolder   Role = "holder"   // holds what others wait for
	RoleWaiter   Role = "waiter"   // waits for others of the fault
	RoleAffected Role = "affected" // stopped about the same time; why is not known

	// RoleCompanion is that of goroutines that come together with the others, and stay
	// as these do: one growth, of which the first participant made the others or is
	// the oldest.
	RoleCompanion Role = "companion"
)

// MaxParticipants is the maximum number of participants of a finding.
const MaxParticipants = 8

// MaxEvidence is the maximum number of sentences of evidence in a finding.
const MaxEvidence = 8

// Identity identifies a fault for as long as it lasts.
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

// MaxHistory is the maximum of Needs.History.
const MaxHistory = 24 * time.Hour

// Validate returns an error that lists every mistake in a set of detectors: nil
// entries, invalid or repeated names, missing Run functions, a History out of
// range, and invalid configurations passed to constructors.
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
