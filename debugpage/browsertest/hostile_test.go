// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/debugpage"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/live"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// serve serves the page of a monitor that takes only one snapshot during the
// test, so that the test can feed the page.
func serve(t *testing.T, opts ...debugpage.Option) (url string, recorder *live.Recorder) {
	t.Helper()
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithInterval(otelgoroutine.MaxInterval))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Shutdown(context.Background())) })
	require.Eventually(t, func() bool { return m.Snapshot() != nil }, patience, time.Millisecond)
	page := debugpage.Handler(m, opts...)
	server := httptest.NewServer(page)
	t.Cleanup(server.Close)
	recorder = page.(interface{ Recorder() *live.Recorder }).Recorder()
	// Subscribers get a snapshot a little later than Snapshot returns it. It must not
	// replace what the test feeds.
	require.Eventually(t, func() bool { return recorder.View().Taken }, patience, time.Millisecond)
	return server.URL + "/", recorder
}

// Each of these texts would run code in a page that turns text into markup.
const (
	script   = `</script></style></title><script>window.hurt=1</script>`
	imageTag = `"'><img src=x onerror="window.hurt=1">`
	link     = `javascript:window.hurt=1//`
)

// hostile returns a snapshot in which every text contains markup.
func hostile() *goroutine.Snapshot {
	stack := goroutine.NewStack([]goroutine.Frame{
		{Function: "main." + imageTag, File: "/src/" + script + "/" + imageTag, Line: 1},
		{Function: link + "." + script, File: link, Line: 2},
	})
	return &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceTrace, Total: 7, Groups: []goroutine.Group{{
		Stack: stack, State: goroutine.State(imageTag + script), Count: 7,
		Labels:    []goroutine.Label{{Key: imageTag + script, Value: "SECRET"}},
		CreatedBy: goroutine.Frame{Function: "main." + script, File: imageTag, Line: 3}, Lock: 0xc000123456,
	}}}
}

func hostileFinding(s *goroutine.Snapshot) detectors.Finding {
	return detectors.Finding{
		ID: "1", Opened: s.Time, Detector: "hostile", Confidence: detectors.Certain, Stack: s.Groups[0].Stack, State: s.Groups[0].State, Count: 7,
		Message: script + imageTag, Evidence: []string{imageTag, script, "at 0xc000123456"}, CreatedBy: s.Groups[0].CreatedBy,
	}
}

func assertUnhurt(t *testing.T, p *tab, what string) {
	t.Helper()
	assert.True(t, eval[bool](p, "window.hurt === undefined"), "%s ran a script", what)
	assert.Zero(t, eval[int](p, "document.images.length"), "%s made an image", what)
	assert.NotContains(t, eval[string](p, "document.body.innerText"), "SECRET")
	assert.NotContains(t, eval[string](p, "document.body.innerText"), "c000123456")
}

func TestMarkupInNamesAndLabelsIsText(t *testing.T) {
	url, recorder := serve(t, debugpage.WithName(script+imageTag))
	s := hostile()
	finding := hostileFinding(s)
	found := report.Briefly([]detectors.Finding{finding})
	recorder.Record(live.Update{Snapshot: s, Open: found, Events: []report.Event{report.EventOf(detectors.Event{Kind: detectors.Detected, Time: s.Time, Finding: finding})}})

	p := open(t, screens[0], url)
	p.until("document.querySelector('.finding')")
	assert.Contains(t, p.text(".finding"), "<script>window.hurt=1</script>", "it is shown as text")
	p.click("#stacks tr button")
	p.until("byID('detail').innerText.includes('Labels')")
	assertUnhurt(t, p, "the page")

	again := *s
	again.Time = s.Time.Add(time.Second)
	recorder.Record(live.Update{Snapshot: &again, Open: found})
	p.until("page.history.time.length > 2")
	assertUnhurt(t, p, "a change")
}

// The page never says that there are no findings when not all detectors are
// judging, and stops to believe them when nothing arrives any more.
func TestThePageSaysWhatItCannotSee(t *testing.T) {
	url, _ := serve(t)
	p := open(t, screens[0], url)
	p.until("page.source && page.source.readyState === 1 && byID('sight-age')")
	assert.Regexp(t, `^6 detectors cannot judge: snapshots have no goroutine IDs.*; 2 need more snapshots; they can judge at [0-9:]+ at the earliest\. Newest snapshot \d+ (s|min.*) old\.$`, p.text("#sight"))
	assert.Equal(t, "No findings from 1 of 9 detectors; the others are not judging.", p.text("#findings-title"))
	p.clickUntil("#sight summary", "byID('sight').innerText.includes('hang, leak, growth, deadlock, contention, stall: snapshots have no goroutine IDs')")
	p.assertAccessible("the page")
	p.shoot("sight-few")

	set := func(detail string, judging int, age string) {
		eval[chromedp.Void](p, `{
			const detectors = ["leak", "surge"].map((name, i) => ({ name, judging: i < `+itoa(judging)+`, reason: "error", detail: `+quote(detail)+` }));
			applySight({ snapshot_age_seconds: `+age+`, judging: `+itoa(judging)+`, detectors });
			renderAll();
		}`)
	}
	const none = "byID('findings-title').innerText === 'No findings. All 2 detectors are judging.'"
	const unknown = "byID('findings-title').innerText === 'Unknown: no detector is judging.'"
	set("", 2, "12")
	p.until(none)
	assert.Regexp(t, `^Newest snapshot 1[2-9] s old\.$`, p.text("#sight"))
	p.shoot("sight-all")
	set(script+imageTag, 0, "12")
	p.until(unknown)
	assert.Contains(t, p.text("#sight"), "<script>window.hurt=1</script>", "it is shown as text")
	assertUnhurt(t, p, "a detail")
	set("", 2, "3 * page.cost.interval_seconds - 1")
	p.until(none)
	p.until(unknown) // by the clock alone
	assert.Contains(t, p.text("#sight"), "no snapshot was taken for more than three intervals")
}

func TestMarkupInTheReportIsText(t *testing.T) {
	s := hostile()
	r := report.New([]*goroutine.Snapshot{hostile(), s}, []detectors.Finding{hostileFinding(s)}, report.Options{Target: script + imageTag, Notes: []string{script}})
	r.Findings[0].Evidence = r.Findings[0].Evidence[:2] // the report keeps addresses in evidence
	p := open(t, screens[0], saveReport(t, r))
	p.until("document.querySelector('.finding')")
	assert.Contains(t, p.text(".finding"), "<script>window.hurt=1</script>", "it is shown as text")
	p.click("#stacks tr button")
	p.until("byID('detail').open")
	assertUnhurt(t, p, "the report")
}
