package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// good returns a result that keeps every promise.
func good(n int) result {
	per := func(ns, seen int) []sample {
		d := time.Duration(ns * n)
		return []sample{{Wall: d, CPU: d * 4 / 3, Stop: 100 * time.Microsecond, Allocated: int64(ns/10) * int64(n), Memory: int64(ns/5) * int64(n), Seen: seen, Existing: n + 3}}
	}
	return result{
		scenario: scenario{Shape: baseShape, Size: n}, TraceBytes: int64(20 * n),
		Methods: []measured{
			{Name: ours, Samples: per(1300, n+3)},
			{Name: pprofParse, Samples: per(2600, n+3)},
			{Name: oursProfile, Samples: per(1600, n+3)},
			{Name: tracerAlone, Samples: per(1100, notCounted)},
			{Name: textParse, Samples: per(58000, n*8/10)},
		},
	}
}

func TestChecksPassWhatIsGood(t *testing.T) {
	small, large := good(100_000), good(1_000_000)
	large.Large = true
	all := check([]result{good(1000), good(10_000), small, large})
	assert.False(t, missed(all), "%v", all)
	assert.Len(t, all, 5+1+6+2+1, "with memory at -large, and two slopes")
}

func TestEachCheckFindsItsFault(t *testing.T) {
	for fault, spoil := range map[string]func(r *result){
		"time against pprof debug=0": func(r *result) { r.method(pprofParse).Samples[0].Wall /= 3 },
		"time against pprof debug=2": func(r *result) { r.method(textParse).Samples[0].Wall /= 3 },
		"every goroutine":            func(r *result) { r.method(ours).Samples[0].Seen-- },
		"longest stop":               func(r *result) { r.method(ours).Samples[0].Stop = time.Millisecond },
		"allocated beyond":           func(r *result) { r.method(ours).Samples[0].Allocated *= 2 },
		"memory beyond":              func(r *result) { r.method(ours).Samples[0].Memory *= 2 },
		"share of a core":            func(r *result) { r.method(oursProfile).Samples[0].CPU = time.Minute },
		"cost of one goroutine":      func(r *result) { r.method(ours).Samples[0].Wall *= 2; r.method(pprofParse).Samples[0].Wall *= 2 },
	} {
		t.Run(fault, func(t *testing.T) {
			r := good(1_000_000)
			r.Large = true
			spoil(&r)
			var found []string
			for _, v := range check([]result{good(100_000), r}) {
				if !v.OK {
					found = append(found, v.String())
				}
			}
			require.Len(t, found, 1, "%v", found)
			assert.True(t, strings.HasPrefix(found[0], "MISS "+fault), found[0])
		})
	}
}

func TestTheBudgetHoldsAtAnyNumberOfGoroutines(t *testing.T) {
	for _, n := range []int{100, 10_000, 100_000, 1_000_000, 10_000_000} {
		r := good(n)
		looks, spent := governed(n, r.method(oursProfile).Samples[0].CPU, r.method(ours), 100*time.Hour)
		assert.Positive(t, looks)
		assert.LessOrEqual(t, spent.Seconds(), budget*(100*time.Hour).Seconds(), "%d goroutines", n)
	}
}
