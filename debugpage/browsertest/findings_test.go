// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/live"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
)

// placeAt returns a group at a place of a service whose names are as long as real ones.
func placeAt(function, file string, line, count int, state goroutine.State) goroutine.Group {
	const path = "github.com/some-company/settlement-service/internal/bookkeeping"
	return goroutine.Group{
		Stack: goroutine.NewStack([]goroutine.Frame{
			{Function: path + "." + function, File: path + "/" + file, Line: line},
			{Function: "net/http.(*conn).serve", File: "net/http/server.go", Line: 2103},
		}),
		State: state, Count: count, IDs: []uint64{uint64(line)}, Births: []goroutine.Cohort{{Count: count}},
		CreatedBy: goroutine.Frame{Function: path + ".(*Service).Start", File: path + "/service.go", Line: 12},
	}
}

// faults returns a snapshot of a service with four faults, and the findings in an order
// in which the gravest is last.
func faults(at time.Time) (*goroutine.Snapshot, []detectors.Finding) {
	leak := placeAt("(*Report).send.func1", "report.go", 63, 194, goroutine.ChanSend)
	forever := placeAt("(*Settings).watch", "settings.go", 198, 1, goroutine.ChanReceiveNil)
	hung := placeAt("(*Press).handle", "press.go", 164, 24, goroutine.ChanSend)
	holder := placeAt("(*Ledger).transferBetweenAccounts", "ledger.go", 84, 1, goroutine.MutexLock)
	waiters := placeAt("(*Ledger).transferBetweenAccounts", "ledger.go", 81, 8, goroutine.MutexLock)
	s := &goroutine.Snapshot{Time: at, Source: goroutine.SourceTrace, Epochs: []goroutine.Epoch{{LastID: 1000, End: at.Add(-90 * time.Second)}},
		Groups: []goroutine.Group{leak, forever, hung, holder, waiters, placeAt("(*Service).poll", "service.go", 30, 40, goroutine.Select)}}
	for i := range s.Groups {
		s.Total += s.Groups[i].Count
	}
	finding := func(id, detector string, c detectors.Confidence, g goroutine.Group, message string) detectors.Finding {
		return detectors.Finding{ID: id, Detector: detector, Confidence: c, Opened: at.Add(-time.Minute), Stack: g.Stack, State: g.State, Count: g.Count, Message: message,
			Advice: "Do what ends the " + detector + ".", Evidence: []string{"first of " + id, "second of " + id, "third of " + id, "fourth of " + id}}
	}
	deadlock := finding("d", "deadlock", detectors.High, waiters, "9 goroutines have waited at bookkeeping.(*Ledger).transferBetweenAccounts (ledger.go:81) for 79 s.")
	deadlock.Participants = []detectors.Participant{
		{Role: detectors.RoleCause, Stack: holder.Stack, State: holder.State, Count: 1, Note: "first of d"},
		{Role: detectors.RoleWaiter, Stack: waiters.Stack, State: waiters.State, Count: 8, Note: "behind it"},
	}
	return s, []detectors.Finding{
		finding("f", "blocked_forever", detectors.Info, forever, "1 goroutine at bookkeeping.(*Settings).watch (settings.go:198) is blocked in chan receive (nil chan)."),
		finding("l", "leak", detectors.Suspected, leak, "194 goroutines at bookkeeping.(*Report).send.func1 (report.go:63) are blocked in chan send."),
		finding("h", "hang", detectors.High, hung, "24 goroutines at bookkeeping.(*Press).handle (press.go:164) have been waiting for 62 s."),
		deadlock,
	}
}

// recordFaults feeds a page with the faults and what was told of them.
func recordFaults(recorder *live.Recorder) {
	for n := range 3 {
		s, found := faults(time.Now().Add(time.Duration(n) * time.Second))
		u := live.Update{Snapshot: s, Open: report.Briefly(found)}
		if n == 2 {
			u.Events = []report.Event{report.EventOf(detectors.Event{Kind: detectors.Detected, Time: s.Time, Finding: found[3]})}
		}
		recorder.Record(u)
	}
}

// openFaults opens the page of the faults.
func openFaults(t *testing.T, s screen, url string) *tab {
	t.Helper()
	p := open(t, s, url)
	p.until("page.source && page.source.readyState === 1 && document.querySelectorAll('#findings > .finding').length === 4")
	return p
}

func TestTheGravestIncidentComesFirstAndIsUnfolded(t *testing.T) {
	url, recorder := serve(t)
	recordFaults(recorder)
	p := openFaults(t, screens[2], url)
	assert.Equal(t, "3 incidents, the gravest: deadlock.", p.text("#findings-title"))
	assert.Equal(t, "First step: Do what ends the deadlock.", p.text("#first-step"))
	assert.Equal(t, "deadlock hang leak blocked_forever", eval[string](p, "[...document.querySelectorAll('#findings > .finding')].map((n) => n.dataset.finding).join(' ')"))
	assert.Equal(t, "deadlock", eval[string](p, "[...document.querySelectorAll('#findings > .finding[open]')].map((n) => n.dataset.finding).join(' ')"))
	card := p.text(`[data-finding="deadlock"]`)
	assert.Contains(t, card, "third of d")
	assert.NotContains(t, card, "fourth of d", "it is folded")
	assert.NotContains(t, card, "Next:", "the first step is told once")
	assert.Contains(t, card, "More: 1 line of evidence, 2 places, times")
	assert.NotContains(t, p.text(`[data-finding="hang"]`), "first of h", "it is folded")
	p.clickUntil(`[data-finding="deadlock"] .rest summary`, `document.querySelector('[data-finding="deadlock"] .rest').open`)
	places := p.text(`[data-finding="deadlock"] .participants`)
	assert.Contains(t, places, "behind it")
	assert.NotContains(t, places, "first of d", "the evidence has it")
	assert.Less(t, eval[float64](p, "document.querySelector('#findings > .finding .evidence').getBoundingClientRect().bottom + scrollY"), 812.0, "it is in the first view of a phone")

	p.clickUntil(`[data-finding="hang"] > summary`, `document.querySelector('[data-finding="hang"]').open`)
	p.clickUntil(`[data-finding="deadlock"] > summary`, `!document.querySelector('[data-finding="deadlock"]').open`)
	snapshots := eval[int](p, "page.cost.snapshots")
	recordFaults(recorder)
	p.until("page.cost.snapshots === " + itoa(snapshots+3))
	p.until("document.querySelectorAll('#findings > .finding').length === 4")
	assert.Equal(t, "hang", eval[string](p, "[...document.querySelectorAll('#findings > .finding[open]')].map((n) => n.dataset.finding).join(' ')"), "an update folds nothing")
	assert.Contains(t, p.text(`[data-finding="hang"]`), "Next: Do what ends the hang.")
	p.assertAccessible("the findings")
	p.shoot("findings")
}

func TestOnlyInformationIsNoIncident(t *testing.T) {
	url, recorder := serve(t)
	s, found := faults(time.Now())
	recorder.Record(live.Update{Snapshot: s, Open: report.Briefly(found[:1])})
	p := open(t, screens[0], url)
	p.until("byID('findings-title').innerText === '1 finding for information: blocked forever.'") // not all detectors are judging
	eval[chromedp.Void](p, "applySight({ snapshot_age_seconds: 1, judging: 1, detectors: [{ name: 'leak', judging: true }] }); renderAll()")
	p.until("byID('findings-title').innerText === 'No incident. 1 finding for information: blocked forever.'")
}

func TestFindingsAreMarkedInTheGraphAndTheTable(t *testing.T) {
	url, recorder := serve(t)
	recordFaults(recorder)
	p := openFaults(t, screens[0], url)
	p.until("icicle.marks().filter((name) => name.includes('transferBetweenAccounts')).length > 0")
	assert.NotContains(t, strings.Join(eval[[]string](p, "icicle.marks()"), " "), "poll", "it is sound")
	assert.Contains(t, eval[string](p, "document.querySelector('#icicle .unseen').textContent"), "9 goroutines at github.com/some-company/settlement-service/internal/bookkeeping.(*Ledger).transferBetweenAccounts in sync.Mutex.Lock: deadlock")
	assert.Contains(t, p.text("#icicle .key"), "finding")
	assert.Equal(t, []string{"194", "40", "24"}, eval[[]string](p, "[...document.querySelectorAll('#stacks tr')].slice(0, 3).map((row) => row.cells[0].textContent)"))
	assert.True(t, eval[bool](p, "icicle.blockAt('chan send').x < icicle.blockAt('select').x"), "the largest block is on the left")

	p.clickUntil("#stacks tr:nth-child(3) button.badge", `document.querySelector('[data-finding="hang"]').open`)
	p.until("document.activeElement.closest('[data-finding=\"hang\"]')")
}

// trees makes trees of stacks with one function each, by their counts, and says how their
// blocks are ordered.
const trees = `
	const tree = (counts, earlier, keep) => {
		const stacks = Object.entries(counts).map(([name, count]) => ({ path: [{ function: name }], state: "select", count }));
		const made = buildTree(stacks, null, frameKinds(""));
		arrange(made, earlier, (node) => node.count, keep);
		return made;
	};
	const order = (made) => made.sorted.map((node) => node.name).join("");
`

func TestTheGraphIsOrderedBySizeAndCalm(t *testing.T) {
	url, _ := serve(t)
	p := open(t, screens[0], url)
	p.until("page.snapshot")
	order := func(expression string) string {
		return eval[string](p, "(() => {"+trees+"const first = tree({ a: 10, b: 40, c: 20 }); return "+expression+"; })()")
	}
	assert.Equal(t, "bca", order("order(first)"))
	assert.Equal(t, "bca", order("order(tree({ a: 22, b: 40, c: 20 }, first))"), "hardly larger")
	assert.Equal(t, "bac", order("order(tree({ a: 26, b: 40, c: 20 }, first))"), "a quarter larger")
	assert.Equal(t, "abc", order("order(tree({ a: 100, b: 40, c: 20 }, first))"))
	assert.Equal(t, "bca", order("order(tree({ a: 100, b: 40, c: 20 }, first, true))"), "nothing moves under the pointer")
	assert.Equal(t, "bdca", order("order(tree({ a: 10, b: 40, c: 20, d: 30 }, first))"), "what is new goes where it belongs")
	assert.Equal(t, "bcad", order("order(tree({ a: 10, b: 40, c: 20, d: 30 }, first, true))"))
	assert.Equal(t, "ba", order("order(tree({ a: 10, b: 40 }, first))"))
}

func TestOwnCodeIsToldFromLibraries(t *testing.T) {
	url, _ := serve(t)
	p := open(t, screens[0], url)
	p.until("page.snapshot")
	for function, want := range map[string]string{
		"main.main": "own", "example.com/shop.Run": "own", "example.com/shop/cart.(*Cart).Add": "own", "example.com/shopping.Run": "library",
	} {
		assert.Equal(t, want, eval[string](p, "frameKinds('example.com/shop')({ function: "+quote(function)+" })"), function)
		assert.Equal(t, "own", eval[string](p, "frameKinds('')({ function: "+quote(function)+" })"), "%s, without a module", function)
	}
	assert.Equal(t, "standard", eval[string](p, "frameKinds('example.com/shop')({ function: 'net/http.Get', standard: true })"))
	p.until("byID('icicle').innerText.includes('own code\\nlibraries\\nstandard library')")
}

// A goroutine dump can be pasted into any tool that reads one, this project's own
// included.
func TestAStackIsCopiedAsAGoroutineDump(t *testing.T) {
	url, recorder := serve(t)
	recordFaults(recorder)
	p := openFaults(t, screens[0], url)
	p.clickUntil(".finding[open] button", "byID('detail').open && dump")
	assert.Regexp(t, `(?s)^[^\n]*transferBetweenAccounts:84.*1 goroutine in sync\.Mutex\.Lock.*ledger\.go:84.*server\.go:2103.*created by.*service\.go:12.*Oldest, at least`, p.text("#detail"), "the stack comes first")
	copied := func() string {
		p.clickUntil("#detail-copy", "byID('detail-note').textContent === 'Copied as a goroutine dump.'")
		text := eval[string](p, "copied")
		eval[chromedp.Void](p, "copied = ''; byID('detail-note').textContent = ''")
		return text
	}
	eval[chromedp.Void](p, "window.copied = ''; Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied = text; } }, configurable: true })")
	text := copied()
	eval[chromedp.Void](p, "Object.defineProperty(navigator, 'clipboard', { value: undefined }); document.addEventListener('copy', () => { copied = document.activeElement.value; })")
	assert.Equal(t, text, copied(), "without a clipboard, as over plain HTTP")

	s, err := parse.Text(strings.NewReader(text), time.Now(), parse.NewStacks(), nil)
	require.NoError(t, err, text)
	require.Len(t, s.Groups, 1, text)
	want := placeAt("(*Ledger).transferBetweenAccounts", "ledger.go", 84, 1, goroutine.MutexLock)
	assert.Equal(t, want.Stack.ID, s.Groups[0].Stack.ID)
	assert.Equal(t, want.State, s.Groups[0].State)
	assert.Equal(t, want.IDs, s.Groups[0].IDs)
	assert.Equal(t, want.CreatedBy, s.Groups[0].CreatedBy)
}

func TestAnAgeThatIsUnknownIsNotShownAsANumber(t *testing.T) {
	url, recorder := serve(t)
	s, _ := faults(time.Now())
	s.Epochs[0].End = s.Time.Add(-3600 * time.Microsecond) // as in a first snapshot
	s.Groups[0].Births = nil
	recorder.Record(live.Update{Snapshot: s})
	p := open(t, screens[0], url)
	p.until("document.querySelectorAll('#stacks tr').length === 6")
	assert.Equal(t, "– – – – – –", eval[string](p, "[...document.querySelectorAll('#stacks tr')].map((row) => row.cells[4].textContent).join(' ')"))
	p.click("#stacks tr button.plain")
	p.until("byID('detail').innerText.includes('Oldest, at least\\n–')")
}

// The scheduler's counts come each second, between snapshots.
func TestTheCountsMove(t *testing.T) {
	url, _ := serve(t)
	p := open(t, screens[0], url)
	p.until("page.source && page.source.readyState === 1 && byID('tiles').children.length === 4")
	send := func(second, created, goroutines int) {
		eval[chromedp.Void](p, `page.source.dispatchEvent(new MessageEvent("counts", { data: JSON.stringify({ time: new Date(Date.UTC(2100, 0, 1, 0, 0, `+itoa(second)+
			`)).toISOString(), goroutines: `+itoa(goroutines)+`, running: 2, runnable: 7, waiting: 100, not_in_go: 1, created: `+itoa(created)+` }) }))`)
	}
	eval[chromedp.Void](p, "page.source.close()") // nothing else may come
	send(1, 1000, 1500)
	send(3, 1820, 1501)
	text := p.text("#tiles")
	for _, want := range []string{"Goroutines\n1,501", "Ready to run\n7", "2 running", "Created per second\n410", "1,820 since the start"} {
		assert.Contains(t, text, want)
	}
}

// What is under suspicion is one line, with the time of the verdict.
func TestCandidatesAreOneLine(t *testing.T) {
	url, _ := serve(t)
	p := open(t, screens[2], url)
	p.until("page.source && page.source.readyState === 1 && page.sight")
	show := func(candidates string) {
		eval[chromedp.Void](p, `applySight({ snapshot_age_seconds: 1, judging: 1, detectors: [{ name: "leak", judging: true }], candidates: `+candidates+` }); renderAll()`)
	}
	const one = `{ detector: "leak", at: { function: "main.handle", line: 12 }, count: 120, growth_per_minute: 40, exits: 0, verdict_at: "2026-11-27T14:59:30Z" }`
	at := eval[string](p, "formatTime(unix('2026-11-27T14:59:30Z'))")
	eval[chromedp.Void](p, `applySight({ snapshot_age_seconds: 1, judging: 0, detectors: ["leak", "growth"].map((name, i) => ({ name, judging: false, reason: "short_history", detail: "there are 2",
		judging_at: "2026-11-27T14:59:" + (30 - i) + "Z" })) }); renderAll()`)
	p.until("byID('sight').innerText.startsWith('2 detectors need more snapshots; they can judge at " + at + " at the earliest. Newest')")
	show("[" + one + "]")
	p.until("byID('sight').innerText.startsWith('Under suspicion: leak at main.handle:12: 120 goroutines, +40 a minute, no exits; a verdict is possible at " + at + "')")
	show("[" + one + `, { detector: "growth", at: { function: "main.poll" }, count: 3, exits: 1, missing: "a goroutine dump" }]`)
	p.until("byID('sight').innerText.startsWith('Under suspicion: 2 places; a verdict is possible at " + at + "')")
	p.clickUntil("#sight .candidates summary", "byID('sight').innerText.includes('growth at main.poll: 3 goroutines, 1 exit; a goroutine dump')")
	p.assertAccessible("candidates")
	p.assertNothingCut("candidates")
}
