// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/htmlreport"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
)

// snapshotOf reads the pprof file offered by a program's page.
func snapshotOf(t *testing.T, url string) *goroutine.Snapshot {
	t.Helper()
	response, err := http.Get(url + "snapshot.pb.gz")
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", content)
	s, err := parse.Profile(content, time.Time{}, parse.NewStacks(), parse.Labels{})
	require.NoError(t, err)
	return s
}

// saveReport writes a report and returns its address.
func saveReport(t *testing.T, r *report.Report) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, htmlreport.Write(&b, r))
	path := filepath.Join(t.TempDir(), "report.html")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "report.html"), b.Bytes(), 0o600))
	}
	return "file://" + path
}

// checkTheReport opens the HTML report of two snapshots of the example.
func checkTheReport(t *testing.T, before, after *goroutine.Snapshot) {
	leak := after.Groups[0]
	for _, g := range after.Groups {
		if g.Stack.User().Function == "main.report.func1" && g.State == goroutine.ChanSend {
			leak = g
		}
	}
	url := saveReport(t, report.New([]*goroutine.Snapshot{before, after}, []detectors.Finding{{
		Detector: "leak", Confidence: detectors.Suspected, Stack: leak.Stack, State: leak.State, Count: leak.Count, GrowthPerMinute: 120,
		Message:  "Goroutines at main.report.func1 are stuck in chan send; none exited or moved on.",
		Evidence: []string{"The number rose in 5 of 5 steps."}, Unjudged: "the newest snapshots have no goroutine IDs",
		Participants: []detectors.Participant{{Role: detectors.RoleWaiter, Stack: leak.Stack, State: leak.State, Count: leak.Count, Note: "send to a channel without a receiver"}},
	}}, report.Options{Target: "example", Filter: &report.Filter{Conditions: []string{"function matches main"}}, Whole: after, Notes: []string{"Without goroutine IDs, creation times are not known."}}))
	for _, l := range screens {
		t.Run("report-"+l.name, func(t *testing.T) {
			p := open(t, l, url)
			p.until("document.querySelectorAll('#stacks tr').length > 3 && icicle.blockAt('main.report.func1')")
			assert.Contains(t, p.text("#tiles"), "Change", "of two snapshots")
			assert.Contains(t, p.text("#taken"), "Filter: function matches main; ")
			assert.Contains(t, p.text("#stacks tr"), "main.report.func1", "the largest change comes first")
			p.assertAccessible("the report")
			p.assertNothingCut("the report")
			p.shoot("report-" + l.name)
			assert.Contains(t, p.text("#findings"), "Not judged now: the newest snapshots have no goroutine IDs.")
			p.clickUntil(".rest summary", "document.querySelector('.rest').open")
			assert.Contains(t, p.text(".participants"), "send to a channel without a receiver")
			p.click(".participants button")
			p.until("byID('detail').open && byID('detail').innerText.includes('faults.go:')")
			p.do(chromedp.KeyEvent(kb.Escape))
			p.until("!byID('detail').open")

			p.click("#stacks tr button")
			p.until("byID('detail').open && byID('detail').innerText.includes('faults.go:')")
			p.assertAccessible("a stack of the report")
			p.do(chromedp.KeyEvent(kb.Escape))
			p.until("!byID('detail').open")

			p.click("#compare")
			p.until("!byID('compare').checked && icicle.blockAt('main.report.func1')")
			zoomTheReport(t, p)

			p.click("#search")
			p.do(chromedp.KeyEvent("faults.go"))
			p.until("byID('filter-count').textContent.includes(' stack')")
			p.until("[...document.querySelectorAll('#stacks tr')].every((row) => row.innerText.includes('main.'))")
			assert.LessOrEqual(t, eval[int64](p, "document.documentElement.scrollWidth"), l.width, "nothing is wider than the window")
		})
	}
}

func zoomTheReport(t *testing.T, p *tab) {
	eval[chromedp.Void](p, "document.querySelector('.icicle-line').scrollIntoView({ block: 'center' })")
	at := eval[point](p, "icicle.blockAt('main.report.func1')")
	p.do(chromedp.MouseClickXY(at.X, at.Y))
	p.until("icicle.zoomedTo() === 'main.report.func1'")
}
