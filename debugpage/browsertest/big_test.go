// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/live"
)

// big returns a snapshot of 100,000 goroutines at 2,000 stacks of 20 frames.
// Stacks share their outer frames, and function names are as long as those of
// real programs.
func big(at time.Time, n int) *goroutine.Snapshot {
	s := &goroutine.Snapshot{Time: at, Source: goroutine.SourceTrace, Epochs: []goroutine.Epoch{{LastID: 1 << 40, End: at}}}
	states := []goroutine.State{goroutine.IOWait, goroutine.Select, goroutine.ChanReceive, goroutine.MutexLock}
	for i := range 2000 {
		var frames []goroutine.Frame
		for depth := range 20 {
			part := i >> (depth / 2) // stacks share more frames the closer they are to the entry
			frames = append(frames, goroutine.Frame{
				Function: fmt.Sprintf("github.com/some-company/service/internal/package%d.(*Handler).Method%d_%d", part%50, depth, part),
				File:     fmt.Sprintf("/build/service/internal/package%d/handler.go", part%50), Line: 100 + depth,
			})
		}
		count := 50
		if i%20 == n%20 { // one in twenty stacks changes
			count += n % 3
		}
		s.Groups = append(s.Groups, goroutine.Group{Stack: goroutine.NewStack(frames), State: states[i%len(states)], Count: count,
			Births: []goroutine.Cohort{{Count: count}}})
		s.Total += count
	}
	return s
}

func TestAHundredThousandGoroutinesAtTwoThousandStacks(t *testing.T) {
	url, recorder := serve(t)
	now := time.Now()
	for n := range 100 { // a history
		recorder.Record(live.Update{Snapshot: big(now.Add(time.Duration(n)*time.Second), n)})
	}
	for _, s := range []screen{screens[0], screens[2]} {
		p := open(t, s, url)
		p.until("page.source && page.source.readyState === 1 && document.querySelectorAll('#stacks tr').length === 50")
		assert.Equal(t, 2000, eval[int](p, "[...page.groups.values()].filter((g) => g.count > 0).length"), "all stacks are there")
		sent := eval[int](p, `performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).reduce((sum, e) => sum + e.transferSize, 0)`)
		whole := eval[int](p, `performance.getEntriesByType("resource").filter((e) => e.name.endsWith("data.json"))[0].decodedBodySize`)
		t.Logf("%s: first view %d KiB, of which the data, uncompressed, %d KiB; shown after %.0f ms", s.name, sent>>10, whole>>10,
			eval[float64](p, "performance.now()"))
		assert.Less(t, sent, 1_000_000, "the first view")
		assertUpdatesAreSmall(t, p, recorder, now)
		checkUsable(t, p)
		p.shoot("big-" + s.name)
	}
}

// assertUpdatesAreSmall sends the page ten more snapshots. In each of them, one
// stack in twenty changes.
func assertUpdatesAreSmall(t *testing.T, p *tab, recorder *live.Recorder, began time.Time) {
	eval[chromedp.Void](p, `window.bytes = []; window.paints = []; page.source.addEventListener("change", (e) => {
		bytes.push(e.data.length);
		const at = performance.now();
		requestAnimationFrame(() => requestAnimationFrame(() => paints.push(performance.now() - at)));
	})`)
	before := eval[int](p, "page.cost.snapshots")
	for i := range 10 {
		n := before + i
		recorder.Record(live.Update{Snapshot: big(began.Add(time.Duration(n)*time.Second), n)})
		p.until(fmt.Sprintf("page.cost.snapshots === %d", n+1))
	}
	p.until("paints.length >= 10")
	t.Logf("ten changes of at most %d KiB, each shown within %.0f ms", eval[int](p, "Math.max(...bytes)")>>10, eval[float64](p, "Math.max(...paints)"))
	assert.Less(t, eval[int](p, "Math.max(...bytes)"), 100_000, "a change")
	assert.True(t, eval[bool](p, "[...page.groups.values()].reduce((sum, g) => sum + g.count, 0) === page.snapshot.total"))
}

func checkUsable(t *testing.T, p *tab) {
	p.click("#search")
	p.do(chromedp.KeyEvent("Method0_1999"))
	p.until("document.querySelectorAll('#stacks tr').length === 1")
	assert.True(t, strings.Contains(p.text("#stacks"), "Method0_1999"))
	p.click("#stacks tr button")
	p.until("byID('detail').innerText.includes('handler.go:100')")
	p.click("#detail-close")
	eval[chromedp.Void](p, "byID('search').value = ''; byID('search').dispatchEvent(new Event('input'))")
}
