package detectors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

func look(at time.Duration) *goroutine.Snapshot {
	return &goroutine.Snapshot{Time: time.Unix(0, 0).Add(at), Epochs: make([]goroutine.Epoch, 1)}
}

func history(needs ...detectors.Needs) *detectors.History {
	var ds []*detectors.Detector
	for _, n := range needs {
		ds = append(ds, &detectors.Detector{Needs: n})
	}
	return detectors.NewHistory(ds)
}

// TestHistoryServesEveryScale has detectors that look back a minute and a day,
// and looks at several intervals.
func TestHistoryServesEveryScale(t *testing.T) {
	for _, interval := range []time.Duration{time.Second, 15 * time.Second, time.Minute, 20 * time.Minute} {
		t.Run(interval.String(), func(t *testing.T) {
			h := history(detectors.Needs{History: time.Minute}, detectors.Needs{History: 24 * time.Hour})
			for at := time.Duration(0); at < 26*time.Hour; at += interval {
				require.True(t, h.Add(look(at)))
				pass, ok := h.Pass(detectors.Needs{})
				require.True(t, ok)
				require.LessOrEqual(t, len(pass.History), detectors.MaxKept-1)
				reach(t, pass, interval, at)
			}
			assert.Equal(t, time.Unix(0, 0), h.Started())
		})
	}
}

// reach checks that for any age there is a look that is wrong by a quarter at
// most, and by less than two intervals where those are longer than that.
func reach(t *testing.T, pass *detectors.Pass, interval, running time.Duration) {
	t.Helper()
	newest := pass.Snapshot.Time
	for age := 2 * interval; age <= min(running, 24*time.Hour); age = age * 5 / 4 {
		best := 24 * time.Hour
		for _, s := range pass.History {
			best = min(best, (newest.Sub(s.Time) - age).Abs())
		}
		require.LessOrEqual(t, best, max(age/4, 2*interval), "no look %v ago, at %v", age, running)
	}
}

func TestHistoryKeepsTheNewestWhateverTheirAge(t *testing.T) {
	h := history(detectors.Needs{History: time.Minute})
	for i := range 20 {
		h.Add(look(time.Duration(i) * time.Hour))
	}
	pass, _ := h.Pass(detectors.Needs{})
	assert.Len(t, pass.History, 7)
	assert.Equal(t, look(12*time.Hour).Time, pass.History[0].Time)
	assert.Equal(t, time.Unix(0, 0), pass.Started, "whether or not the history reaches that far")
}

func TestHistoryTakesOnlyYoungerLooks(t *testing.T) {
	h := history(detectors.Needs{History: time.Hour})
	assert.True(t, h.Add(look(time.Minute)))
	assert.False(t, h.Add(look(time.Minute)))
	assert.False(t, h.Add(look(0)))
	pass, ok := h.Pass(detectors.Needs{})
	assert.True(t, ok)
	assert.Empty(t, pass.History)
}

func TestHistoryHandsOutLooksWithIDs(t *testing.T) {
	without := func(at time.Duration) *goroutine.Snapshot {
		s := look(at)
		s.Epochs = nil
		return s
	}
	h := history(detectors.Needs{History: time.Hour})
	_, ok := h.Pass(detectors.Needs{})
	assert.False(t, ok, "there is nothing to judge yet")

	h.Add(look(1))
	h.Add(without(2))
	_, ok = h.Pass(detectors.Needs{IDs: true})
	assert.False(t, ok, "the newest look has no IDs")
	pass, ok := h.Pass(detectors.Needs{})
	assert.True(t, ok)
	assert.Len(t, pass.History, 1)

	h.Add(look(3))
	pass, ok = h.Pass(detectors.Needs{IDs: true})
	assert.True(t, ok)
	assert.Len(t, pass.History, 1)
	assert.True(t, pass.History[0].HasIDs())
	assert.False(t, pass.Known(&goroutine.Stack{}))
}
