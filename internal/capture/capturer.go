// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"cmp"
	"runtime"
	"runtime/trace"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/framepointer"
	"github.com/otelgoroutine/go/internal/parse"
)

// A Skip is a capture that did not happen.
type Skip struct {
	Source goroutine.Source
	*Refusal
}

// Config says what a [Capturer] may do.
type Config struct {
	Budget    Budget
	Tracing   bool // take execution traces; the goroutine profile is always available
	LeakProof bool

	// ProofSpacing is the least time between two leak proofs; 0 for [ProofSpacing].
	ProofSpacing time.Duration

	// Labels are the keys of the labels that goroutine dumps are read with.
	Labels []string

	// Recorder is a flight recorder of the program, from which snapshots are taken
	// while it is running; nil if there is none. Tracing must be set too.
	Recorder *trace.FlightRecorder
}

// A Capturer takes snapshots. It is not safe for concurrent use, except for
// [Capturer.Abort] and [Capturer.Counts].
type Capturer struct {
	safety   safety
	governor *Governor
	progress inProgress
	memory   memory
	tracing  bool
	retired  map[goroutine.Source]bool // sources that will not run again in this process
	resting  rests                     // sources that will not run for a while

	regular []source // best first; the last one is the profile
	begun   bool     // a snapshot was taken
	started bool     // and after it, another regular one was due

	recorder  *recorderSource // comes before the regular sources; nil: none was handed over
	recorded  bool            // the last snapshot came from it
	recording []byte          // that was written since
	late      []Skip          // to be returned with the next snapshot

	// For closer inspection.
	labelled map[string]*labelledSource // by their keys
	text     *textSource
	window   *windowSource
	locks    *locksSource
	proof    *proofSource // nil if it is not wanted
}

// New returns a capturer.
func New(c Config) *Capturer {
	stacks, births := parse.NewStacks(), new(goroutine.Births) // of every regular source
	t := newTraceSource(stacks, births)
	capturer := &Capturer{
		safety:   safety{verdict: framepointer.Process},
		memory:   memory{root: hostRoot},
		governor: NewGovernor(c.Budget, time.Now()),
		retired:  make(map[goroutine.Source]bool),
		resting:  make(rests),
		regular:  []source{t, newTextSeries(stacks, births), &profileSource{stacks: stacks}},
		text:     newTextSource(),
		window:   &windowSource{trace: t},
	}
	capturer.locks = &locksSource{capturer.window}
	capturer.Configure(c)
	return capturer
}

// Configure changes what the capturer may do from now on. Snapshots taken before
// and after it make one series.
func (c *Capturer) Configure(config Config) {
	c.governor.budget = config.Budget
	c.tracing = config.Tracing
	c.text.labels = config.Labels
	c.hand(config.Recorder)
	c.labelled = make(map[string]*labelledSource)
	if !config.LeakProof {
		c.proof = nil
	} else if c.proof == nil {
		c.proof = newProofSource()
	}
	if c.proof != nil {
		c.proof.spacing = cmp.Or(config.ProofSpacing, ProofSpacing)
	}
}

// hand takes snapshots from a recorder of the program's from now on, if it is not nil.
func (c *Capturer) hand(recorder *trace.FlightRecorder) {
	if c.recorder != nil && c.recorder.recorder == recorder {
		return
	}
	c.recorder = nil
	if recorder != nil {
		c.recorder = newRecorderSource(recorder, c.window.trace.decoder)
	}
	c.window.recorder = c.recorder
}

// Take takes a snapshot from the best source that can run. The snapshot is nil
// when no source can or may run. skips lists the sources that were passed over,
// and why. If a source only has to wait, for its budget or for the load to drop,
// Take tries no other: that would spend the budget the better source is waiting
// for. It tries no other, either, after a source that did not meet the deadline.
//
// A goroutine dump takes the place of a trace while its predicted stop of the world
// is within the budget, because it has goroutine IDs too; otherwise a profile does.
// Whether the process can bear a trace is decided once, before the first.
//
// The first snapshot is a profile, and so are those that [Capturer.Early] takes before
// the second. They are taken while the program starts, which is
// when the program would start a flight recorder of its own, and that recorder
// must find its slot free.
func (c *Capturer) Take() (*goroutine.Snapshot, []Skip) {
	c.started = c.started || c.begun
	return c.take()
}

// Early takes a snapshot as Take does, but between the first and the second regular one:
// it begins no traces. It takes none, and that is no skip, unless the budget covers it and
// the next regular one.
func (c *Capturer) Early() (*goroutine.Snapshot, []Skip) {
	if !c.spare(runtime.NumGoroutine(), 0) {
		return nil, nil
	}
	return c.take()
}

func (c *Capturer) take() (*goroutine.Snapshot, []Skip) {
	defer c.begin(Deadline)()
	skips := c.late
	c.late, c.recording, c.recorded = nil, nil, false
	c.governor.Next()
	order := c.order()
	if c.governor.Overloaded(int(ReadScheduler().Runnable), runtime.GOMAXPROCS(0)) {
		return nil, append(skips, Skip{order[0].name(), refuse(ReasonLoad, "over %d goroutines are runnable for each P", loadFactor)})
	}
	for _, s := range order {
		r, skip := c.try(s)
		if skip == nil {
			return r.Snapshot, append(skips, c.took(s, r.Snapshot)...)
		}
		skips = append(skips, *skip)
		if skip.waits() || c.progress.current.Load().over() {
			break
		}
	}
	return nil, skips
}

// took notes what follows from a regular snapshot. If it came from the program's
// own flight recorder, the verdict on traces is asked for, too: it does not keep
// snapshots from being taken, because the program is traced anyway, but it is told.
func (c *Capturer) took(s source, snapshot *goroutine.Snapshot) []Skip {
	c.begun = true
	if c.proof != nil {
		c.safety.watch(snapshot)
	}
	if c.recorded = s.name() == goroutine.SourceRecorder; !c.recorded || c.safety.decided {
		return nil
	}
	if refusal := c.unsafe(); refusal != nil {
		return []Skip{{s.name(), refusal}}
	}
	return nil
}

// Recording returns the recording of the program's own flight recorder, with the
// seconds before now, if the last snapshot came from it. It is written at the first
// call after each snapshot. The caller must not modify it. It is nil if no snapshot
// came from a recorder, or if it could not be written; the next Take returns why.
func (c *Capturer) Recording() []byte {
	if !c.recorded || c.recording != nil {
		return c.recording
	}
	c.recorded = false // one attempt for each snapshot
	defer c.begin(Deadline)()
	recording, refusal := c.record()
	if refusal != nil {
		c.late = append(c.late, *c.skip(c.recorder, refusal))
	}
	c.recording = recording
	return recording
}

func (c *Capturer) record() ([]byte, *Refusal) {
	if refusal := c.ready(c.recorder); refusal != nil {
		return nil, refusal
	}
	buf := new(cappedBuffer)
	took, err := c.recorder.write(c.progress.current.Load(), buf)
	c.Charge(took.cpu)
	if err != nil {
		refusal := refusalOf(err)
		if refusal.Reason == ReasonLate { // one that is too large says nothing of snapshots
			c.resting.after(goroutine.SourceRecorder, refusal, took.wall, time.Now())
		}
		return nil, refusal
	}
	return buf.data, nil
}

// Abort ends the capture in progress as soon as the runtime permits: a buffer
// takes no more bytes, a window closes, reading stops. The capture is then refused
// with [ReasonLate], and if it took over a second, its source rests for a while. A
// call of the runtime cannot be ended, and Abort does not wait for it. Without a
// capture in progress, Abort does nothing. It is safe for concurrent use.
func (c *Capturer) Abort() { c.progress.current.Load().end() }

// Spare reports whether a snapshot beyond the regular ones may be taken now, as on
// a suspicion. The budget must cover it and still leave enough for what tells more of
// a suspicion: a window of this span and a goroutine dump. It must not add to the
// load of a process that waits for its processors or for the host.
func (c *Capturer) Spare(span time.Duration) bool {
	n := runtime.NumGoroutine()
	return c.spare(n, c.reserve(span, n))
}

func (c *Capturer) spare(n int, reserve time.Duration) bool {
	now := time.Now()
	if int(ReadScheduler().Runnable) >= loadFactor*runtime.GOMAXPROCS(0) || c.governor.Starved(now) {
		return false
	}
	return c.governor.Spare(c.order()[0].name(), n, reserve, now)
}

// reserve is the CPU time that a window and a dump of n goroutines, or a trace with
// locks where that does not fit, are predicted to use, as far as they would be allowed.
func (c *Capturer) reserve(span time.Duration, n int) (work time.Duration) {
	if c.tracing {
		of, more := c.window.of(span)
		each, _ := c.governor.Predict(of.name(), n)
		work += 2*each + more
	}
	if dump, pause := c.governor.Predict(goroutine.SourceText, n); pause <= c.governor.budget.Pause {
		work += dump
	} else if c.tracing {
		locks, _ := c.governor.Predict(goroutine.SourceLocks, n)
		work += locks
	}
	return work
}

// Counts returns how many goroutines there are and how many were created since the
// process started; 0 when the runtime does not tell. It takes about 10 µs, whatever
// their number, and is safe for concurrent use.
func (c *Capturer) Counts() (goroutines, created int64) {
	return int64(runtime.NumGoroutine()), ReadScheduler().Created
}

// order returns the regular sources to try now, best first.
func (c *Capturer) order() []source {
	if !c.started || !c.tracing {
		return c.regular[len(c.regular)-1:]
	}
	var order []source
	if c.recorder != nil && !c.retired[goroutine.SourceRecorder] {
		order = append(order, c.recorder)
	}
	for _, s := range c.regular {
		if !c.retired[s.name()] {
			order = append(order, s)
		}
	}
	return order
}

// unsafe returns why traces could end the process, or nil. The budget pays for
// finding out, which is done once.
func (c *Capturer) unsafe() *Refusal {
	if c.safety.decided {
		return c.safety.trace()
	}
	c.safety.decided = true
	var refusal *Refusal
	c.Charge(CPUTime(func() { refusal = c.safety.trace() }))
	return refusal
}

// Labelled takes a snapshot with the labels of these keys: of all goroutines if at is
// nil, and otherwise as [parse.Labels.At] says.
func (c *Capturer) Labelled(keys []string, at func(goroutine.StackID) bool) (*goroutine.Snapshot, *Skip) {
	defer c.begin(Deadline)()
	source := c.labelledBy(keys)
	source.labels.At = at
	r, skip := c.try(source)
	source.labels.At = nil
	return r.Snapshot, skip
}

func (c *Capturer) labelledBy(keys []string) *labelledSource {
	key := strings.Join(keys, "\x00")
	if c.labelled[key] == nil {
		c.labelled[key] = &labelledSource{stacks: parse.NewStacks(), labels: parse.Labels{Keys: keys}}
	}
	return c.labelled[key]
}

// Text takes a goroutine dump, with the queues for locks. Only a dump has the
// addresses of locks, the arguments of calls and the go statements. The world is stopped while the dump is
// written, so it is taken only on suspicion. It is refused when the stop predicted
// from the number of goroutines exceeds the budget.
func (c *Capturer) Text() (*goroutine.Snapshot, *Skip) {
	defer c.begin(Deadline)()
	r, skip := c.try(c.text)
	if skip != nil {
		return nil, skip
	}
	return r.Snapshot, nil
}

// A Dump is a goroutine dump as the runtime writes it.
type Dump struct {
	Time time.Time
	Text []byte
}

// Dump takes a goroutine dump for people, under the same conditions as [Capturer.Text].
// It has the arguments of calls and, from Go 1.27 on, the values of labels.
func (c *Capturer) Dump() (*Dump, *Skip) {
	defer c.begin(Deadline)()
	c.text.keep = true
	defer func() { c.text.keep = false }()
	r, skip := c.try(c.text)
	if skip != nil {
		return nil, skip
	}
	return &Dump{r.Time, r.dump}, nil
}

// Locks takes a trace with the queues for locks, if its predicted cost is covered. It
// has no addresses and no arguments, but stops the world no longer than any trace. If
// traces are not enabled or cannot be taken, Locks returns nil and no skip.
func (c *Capturer) Locks() (*goroutine.Snapshot, *Skip) {
	if !c.tracing || !c.opens(0) {
		return nil, nil
	}
	defer c.begin(Deadline)()
	if refusal := c.ready(c.locks.of()); refusal != nil { // while snapshots are not traced, either
		return nil, c.skip(c.locks, refusal)
	}
	r, skip := c.try(c.locks)
	return r.Snapshot, skip
}

// Window takes a trace of a span of time, if its predicted cost is covered.
// Closing stop ends the trace early. If traces are not enabled or cannot be taken,
// Window returns nil and no skip.
func (c *Capturer) Window(span time.Duration, stop <-chan struct{}) (*goroutine.Snapshot, *Skip) {
	if !c.tracing || !c.opens(span) {
		return nil, nil
	}
	defer c.begin(span + Deadline)()
	if refusal := c.allowWindow(span); refusal != nil {
		return nil, c.skip(c.window, refusal)
	}
	c.window.span, c.window.stop = span, stop
	r, skip := c.run(c.window)
	return r.Snapshot, skip
}

// opens reports whether the source of windows may be used in this process. A program
// that runs a flight recorder is traced anyway.
func (c *Capturer) opens(span time.Duration) bool {
	of, _ := c.window.of(span)
	return !c.retired[of.name()] && (of.name() == goroutine.SourceRecorder || c.unsafe() == nil)
}

// allowWindow refuses a window while snapshots are not traced, either, and when the
// window would stay open for too long: so many goroutines wait for a processor, or
// the process waits for the host.
func (c *Capturer) allowWindow(span time.Duration) *Refusal {
	of, more := c.window.of(span)
	for _, s := range []source{c.window, of} {
		if refusal := c.ready(s); refusal != nil {
			return refusal
		}
	}
	if runnable, procs := ReadScheduler().Runnable, runtime.GOMAXPROCS(0); runnable >= int64(loadFactor*procs) {
		return refuse(ReasonLoad, "%d goroutines are runnable, on %d Ps", runnable, procs)
	}
	if c.governor.Starved(time.Now()) {
		return refuse(ReasonLoad, "the host gives this process too little CPU time: the last capture took over %v and %d times the CPU time that it used", leastDelay, delayRatio)
	}
	work, _ := c.governor.Predict(of.name(), runtime.NumGoroutine())
	return c.governor.AllowCost(2*work+more, 0, time.Now())
}

// Prove asks the runtime which goroutines are certainly leaked. base is a current
// snapshot from [Capturer.Take], from which the danger and the cost are predicted.
// If the proof is not enabled, or was refused for good, Prove returns nil and no
// skip.
func (c *Capturer) Prove(base *goroutine.Snapshot) (*goroutine.Snapshot, *Skip) {
	if c.proof == nil || c.retired[goroutine.SourceProof] {
		return nil, nil
	}
	defer c.begin(Deadline)()
	if refusal := c.allowProof(base); refusal != nil {
		return nil, c.skip(c.proof, refusal)
	}
	r, skip := c.run(c.proof)
	return r.Snapshot, skip
}

func (c *Capturer) allowProof(base *goroutine.Snapshot) *Refusal {
	now := time.Now()
	if refusal := c.proof.due(now); refusal != nil {
		return refusal
	}
	if refusal := c.safety.proof(base); refusal != nil {
		return refusal
	}
	work, pause := c.proof.predict(base)
	return c.governor.AllowCost(work, pause, now)
}

// Charge deducts from the budget the CPU time that was spent on a snapshot after
// it was taken.
func (c *Capturer) Charge(work time.Duration) { c.governor.Charge(work, time.Now()) }

// try takes a snapshot from a source, if its predicted cost is covered.
func (c *Capturer) try(s source) (result, *Skip) {
	if s.name() == goroutine.SourceTrace {
		if refusal := c.unsafe(); refusal != nil {
			return result{}, c.skip(s, refusal)
		}
	}
	if text, ok := s.(*textSource); ok {
		text.mixed = text.births != nil && (c.recorder != nil || !c.retired[goroutine.SourceTrace])
	}
	if refusal := c.ready(s); refusal != nil {
		return result{}, c.skip(s, refusal)
	}
	if refusal := c.governor.Allow(s.name(), runtime.NumGoroutine(), time.Now()); refusal != nil {
		return result{}, c.skip(s, refusal)
	}
	return c.run(s)
}

// begin begins a capture that may take this long. The caller calls the result when
// it is over.
func (c *Capturer) begin(limit time.Duration) (end func()) {
	return c.progress.begin(limit, c.memory.room(time.Now()))
}

// ready refuses a source that rests, that cannot run now, or that could take too
// much memory, before its cost is predicted.
func (c *Capturer) ready(s source) *Refusal {
	if refusal := c.resting.refuse(s.name(), time.Now()); refusal != nil {
		return refusal
	}
	if s, ok := s.(interface{ ready() *Refusal }); ok {
		if refusal := s.ready(); refusal != nil {
			return refusal
		}
	}
	if s, ok := s.(interface{ needs(int) int64 }); ok {
		return c.progress.current.Load().affords(s.needs(runtime.NumGoroutine()))
	}
	return nil
}

// run takes a snapshot that was allowed, and records its cost with the governor
// whether or not it succeeded.
func (c *Capturer) run(s source) (r result, _ *Skip) {
	n := runtime.NumGoroutine()
	var refusal *Refusal
	used := measure(func() { r, refusal = guarded(s, c.progress.current.Load()) })
	delay := c.spent(s.name(), n, &r, used)
	c.resting.after(s.name(), refusal, used.wall, time.Now())
	if refusal != nil {
		return result{}, c.skip(s, refusal)
	}
	r.Duration, r.Late, r.Scheduler = used.wall, delay, ReadScheduler()
	return r, nil
}

// spent tells the governor what a capture of n goroutines took. A leak proof works
// on the threads of the garbage collector, so that it is charged the time that
// passed. It returns for how long the host delayed the capture.
func (c *Capturer) spent(source goroutine.Source, n int, r *result, used usage) (delay time.Duration) {
	now := time.Now()
	wall := max(used.wall-r.idle, 0)
	switch {
	case source == goroutine.SourceProof:
		used.cpu = wall
	case (source == goroutine.SourceTrace || source == goroutine.SourceLocks) && r.Snapshot != nil:
		r.traced = time.Duration(r.Bytes) * (byteCost + readCost)
	}
	c.governor.Spent(source, n, min(used.cpu, wall)+r.traced, now)
	if r.stop > 0 {
		c.governor.Stopped(source, n, r.stop)
	}
	return c.governor.Took(wall, used.cpu, now)
}

// skip returns the refusal of a source. It retires a source that is refused for
// good.
func (c *Capturer) skip(s source, r *Refusal) *Skip {
	if r.Forever {
		c.retired[s.name()] = true
	}
	return &Skip{s.name(), r}
}
