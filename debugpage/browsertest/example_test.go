// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// startExample builds and starts the example with an interval between snapshots. It
// returns the address of its page.
func startExample(t *testing.T, interval string, flags ...string) string {
	t.Helper()
	return startProgram(t, built(t, "example"), append([]string{"-http", "127.0.0.1:0", "-interval", interval}, flags...)...)
}

// startProgram starts a program that prints the address of its page, and returns it.
func startProgram(t *testing.T, name string, args ...string) string {
	t.Helper()
	text := start(t, "/debug/goroutines/", name, args...)
	url := regexp.MustCompile(`http://127\.0\.0\.1:\d+/debug/goroutines/`).FindString(text)
	require.NotEmpty(t, url, text)
	return url
}

// built returns the program in a folder of the repository.
func built(t *testing.T, folder string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(folder))
	build := exec.Command("go", "build", "-trimpath", "-o", binary, ".")
	build.Dir = filepath.Join("..", "..", folder)
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

func TestTheExample(t *testing.T) {
	url := startExample(t, "500ms")
	var before *goroutine.Snapshot
	for i, l := range screens {
		t.Run(l.name, func(t *testing.T) {
			p := open(t, l, url)
			p.until("page.snapshot && page.source && page.source.readyState === 1")
			if i == 0 {
				before = snapshotOf(t, url)
				awaitAFinding(t, p)
			}
			awaitChanges(t, p)
			p.assertAccessible("the page")
			p.assertNothingCut("the page")
			p.shoot(l.name)
			clickAStack(t, p, l)
			zoomTheGraph(t, p)
			search(t, p)
			checkDownloads(t, p)
			captureNow(t, p)
			assert.LessOrEqual(t, eval[int64](p, "document.documentElement.scrollWidth"), l.width, "nothing is wider than the window")
		})
	}
	if before != nil {
		checkTheReport(t, before, snapshotOf(t, url))
	}
}

// awaitAFinding must come first: the example deadlocks a few seconds after its
// start, and the finding takes a few more.
func awaitAFinding(t *testing.T, p *tab) {
	const card = `[data-finding="deadlock"]`
	require.False(t, eval[bool](p, "Boolean(document.querySelector('"+card+"'))"), "too early")
	p.until("document.querySelector('" + card + "')")
	assert.Regexp(t, `^\d incidents?, the gravest: deadlock\.$|^1 incident: deadlock\.$`, p.text("#findings-title"))
	assert.Regexp(t, "^First step: .+", p.text("#first-step"))
	p.clickUntil(card+" .rest summary", "document.querySelector('"+card+" .rest').open")
	text := p.text(card)
	assert.Contains(t, text, "main.transfer")
	assert.Regexp(t, `Opened (just now|.* ago) \(`, text)
	p.until("icicle.marks().includes('sync.Mutex.Lock')")
	assert.NotRegexp(t, "0x[0-9a-f]", text)
	assert.Regexp(t, `\(\d+\) .* goroutines`, eval[string](p, "document.title"))
	// On a busy machine the hang can be told first; the deadlock is then told
	// as more of the same incident. The newest event is the first.
	assert.Regexp(t, "deadlock detected|(?s:deadlock repeated.*hang detected)", p.text("#events"))
}

func awaitChanges(t *testing.T, p *tab) {
	before := eval[string](p, "byID('tiles').innerText")
	snapshots := eval[int](p, "page.cost.snapshots")
	p.until("page.cost.snapshots > " + itoa(snapshots+2) + " && byID('tiles').innerText !== " + quote(before))
	assert.True(t, eval[bool](p, "[...page.groups.values()].reduce((sum, g) => sum + g.count, 0) === page.snapshot.total"), "the groups add up")
	assert.True(t, eval[bool](p, "Object.values(page.history.states).every((c) => c.length === page.history.time.length)"))
	assert.True(t, eval[bool](p, "Boolean(document.querySelector('#chart canvas'))"))
}

// clickAStack opens the leaking stack and closes it with the keyboard.
func clickAStack(t *testing.T, p *tab, l screen) {
	eval[chromedp.Void](p, "byID('search').value = 'main.report.func1'; choose('chan send')")
	p.until("document.querySelectorAll('#stacks tr').length === 1")
	leaking := eval[int](p, "[...page.groups.values()].find((g) => g.where && g.where.function === 'main.report.func1' && g.state === 'chan send').number")
	p.clickUntil("#stacks [data-key='group-"+itoa(leaking)+"']", "byID('detail').open && byID('detail').innerText.includes('faults.go:')")
	text := p.text("#detail")
	for _, want := range []string{"main.report.func1", "chan send", "Stack ID", "Goroutine IDs", "Creation times", "exited or moved on"} {
		assert.Contains(t, text, want)
	}
	p.until("document.querySelector('#detail .ages span')")
	p.assertAccessible("a stack")
	p.assertNothingCut("a stack")
	p.shoot(l.name + "-stack")
	p.do(chromedp.KeyEvent(kb.Escape))
	p.until("!byID('detail').open")
	eval[chromedp.Void](p, "byID('search').value = ''; choose('')")
	p.until("document.querySelectorAll('#stacks tr').length > 10")
}

// zoomTheGraph zooms with the mouse and with the keyboard.
func zoomTheGraph(t *testing.T, p *tab) {
	const block = "main.report.func1"
	eval[chromedp.Void](p, "document.querySelector('.icicle-line').scrollIntoView({ block: 'center' })")
	p.until("icicle.blockAt('" + block + "')")
	for range 20 { // the block moves
		at := eval[point](p, "icicle.blockAt('"+block+"')")
		p.do(chromedp.MouseClickXY(at.X, at.Y))
		if eval[string](p, "new Promise((done) => setTimeout(() => done(icicle.zoomedTo()), 100))") == block {
			break
		}
		eval[chromedp.Void](p, "document.querySelector('.icicle button').click()")
	}
	p.until("icicle.zoomedTo() === '" + block + "'")
	p.until("document.querySelector('.icicle-line').textContent.includes('Zoomed to " + block + "')")
	assert.False(t, eval[bool](p, "icicle.blockAt('main.main') !== null"), "its siblings are not shown")
	p.click(".icicle button")
	p.until("icicle.zoomedTo() === '' && icicle.blockAt('main.main')")

	eval[chromedp.Void](p, "document.querySelector('#icicle canvas').focus()")
	p.do(chromedp.KeyEvent(kb.ArrowDown), chromedp.KeyEvent(kb.Enter))
	p.until("icicle.zoomedTo() !== ''")
	p.do(chromedp.KeyEvent(kb.Escape))
	p.until("icicle.zoomedTo() === ''")
}

func search(t *testing.T, p *tab) {
	p.clickUntil("#search", "document.activeElement === byID('search')")
	p.do(chromedp.KeyEvent("main.transfer"))
	p.until("byID('filter-count').textContent.includes(' stack')")
	p.until("[...document.querySelectorAll('#stacks tr')].every((row) => row.innerText.includes('main.transfer') || page.groups.get(Number(row.dataset.group)).text.includes('main.transfer'))")
	assert.Contains(t, p.text(".icicle-line"), "match")
	eval[chromedp.Void](p, "byID('search').value = ''; byID('search').dispatchEvent(new Event('input'))")
	p.clickUntil("#legend [data-state='chan send'] button", "byID('state').value === 'chan send'")
	p.until("[...document.querySelectorAll('#stacks tr')].every((row) => row.innerText.includes('chan send'))")
	p.clickUntil("#legend [data-state='chan send'] button", "byID('state').value === ''")
}

// captureNow uses the button. The example saves no files.
func captureNow(t *testing.T, p *tab) {
	p.clickUntil("#capture", "/^Captured \\d+ goroutines; the monitor has no place/.test(page.notice)")
	assert.Contains(t, p.text("#status"), "Captured ")
	p.until("!byID('capture').disabled")
}

func checkDownloads(t *testing.T, p *tab) {
	assert.Contains(t, eval[string](p, "fetch('report.txt').then((r) => r.text())"), "main.report.func1")
	assert.Equal(t, 0x1f8b, eval[int](p, "fetch('snapshot.pb.gz').then((r) => r.arrayBuffer()).then((b) => new DataView(b).getUint16(0))"))
}
