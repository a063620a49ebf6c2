// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/bench/internal/lab"
)

// A report is all that came out.
type report struct {
	options
	started  time.Time
	settings []setting
}

func (s setting) String() string {
	return runtime.Version() + map[bool]string{true: " with leak proof", false: " without leak proof"}[s.proof]
}

func (r *report) passed() bool {
	return !slices.ContainsFunc(r.settings, func(s setting) bool { t := tallyOf(s.results); return !t.passed() })
}

// A tally counts results.
type tally struct {
	possible, found     int // faults that can be found in this setting
	beyond, beyondToo   int // those that cannot, and were
	sound               int
	alarms              [severe + 1]int // sound programs by the rank of their worst finding
	after               []time.Duration
	missed, alarmed, ko []result
	wanted              []result // faults to be told soon
	soon, rooted        int      // those that were, and with their root
	told, once          int      // faults that were found, and those told once of them
	growing, grown      int      // faults that make goroutines grow in number, and those told in time
}

func tallyOf(results []result) (t tally) {
	for _, r := range results {
		switch {
		case r.Trouble != "":
			t.ko = append(t.ko, r)
			continue
		case r.Faulty && r.Beyond != "":
			t.beyond++
			t.beyondToo += one(r.Found)
		case r.Faulty:
			t.possible++
			t.found += one(r.Found)
			if !r.Found {
				t.missed = append(t.missed, r)
			}
		default:
			t.sound++
			if len(r.Others) > 0 {
				t.alarms[r.worst()]++
				t.alarmed = append(t.alarmed, r)
			}
		}
		if r.Course.Wanted {
			t.wanted = append(t.wanted, r)
			t.soon += one(r.Course.Soon)
			t.rooted += one(r.Course.Root)
		}
		if r.Faulty && r.Growth.Wanted != nil {
			t.growing++
			t.grown += one(r.Growth.InTime)
		}
		if r.Faulty && r.Found {
			t.told++
			t.once += one(r.Course.once())
		}
		if r.Found {
			t.after = append(t.after, r.After)
		}
	}
	slices.Sort(t.after)
	return t
}

const (
	// leastRooted is the share of the faults to be told soon whose root is to be
	// named.
	leastRooted = 0.8
	// leastOnce is the share of the faults found that are to be told once.
	leastOnce = 0.95
)

// passed reports whether the targets are met.
func (t *tally) passed() bool {
	return float64(t.found) >= watch.LeastRecall*float64(t.possible) && t.alarms[severe] == 0 && len(t.ko) == 0 &&
		float64(t.soon) >= watch.LeastRecall*float64(len(t.wanted)) && float64(t.rooted) >= leastRooted*float64(len(t.wanted)) &&
		float64(t.once) >= leastOnce*float64(t.told) && float64(t.grown) >= watch.LeastRecall*float64(t.growing)
}

// markdown is the report for people.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Detection: results\n\n%s, %d cores, %s/%s, %d programs side by side. Each program ran for %v at a scale of %v, which is %v of a service.\n\n",
		r.started.UTC().Format("2 January 2006"), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, r.Parallel, r.Duration, r.Scale, r.real(r.Duration).Round(time.Minute))
	b.WriteString("[README.md](README.md) says what was run and what the columns mean. Times to detection vary with the load of the machine.\n\n## Targets\n\n")
	rows := []lab.Row{{"setting", "found", "in three minutes", "root named", "growth in time", "told once", "false alarms", "runs that failed", ""}}
	for _, s := range r.settings {
		t := tallyOf(s.results)
		verdict := map[bool]string{true: "PASS", false: "MISS"}[t.passed()]
		rows = append(rows, lab.Row{s.String(), share(t.found, t.possible), share(t.soon, len(t.wanted)), share(t.rooted, len(t.wanted)),
			share(t.grown, t.growing), share(t.once, t.told), share(t.alarms[severe], t.sound), len(t.ko), verdict})
	}
	lab.Table(&b, rows)
	for _, s := range r.settings {
		fmt.Fprintf(&b, "\n## %s\n\n", s)
		r.classes(&b, s.results)
		b.WriteString("\n")
		r.soonTable(&b, s.results)
		r.growthTable(&b, s.results)
		rivalsTable(&b, s.results)
		lists(&b, s.results)
	}
	r.beyond(&b)
	return b.String()
}

// real converts a time of the run to that of a service.
func (r *report) real(d time.Duration) time.Duration { return time.Duration(float64(d) / r.Scale) }

func share(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d (%.0f %%)", n, of, 100*float64(n)/float64(of))
}

func one(b bool) int { return map[bool]int{true: 1}[b] }

func (r *report) classes(b *strings.Builder, results []result) {
	rows := []lab.Row{{"class", "faults", "found", "beyond", "found too", "median time", "longest", "of a service", "sound", "false alarms", "lower", "info"}}
	for _, c := range corpus.Classes() {
		of := slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.Class != c })
		if len(of) > 0 {
			rows = append(rows, r.class(string(c), tallyOf(of)))
		}
	}
	lab.Table(b, append(rows, r.class("**all**", tallyOf(results))))
}

func (r *report) class(name string, t tally) lab.Row {
	median, longest, real := "–", "–", "–"
	if n := len(t.after); n > 0 {
		m, l := t.after[n/2], t.after[n-1]
		median, longest = fmt.Sprintf("%.1f s", m.Seconds()), fmt.Sprintf("%.1f s", l.Seconds())
		real = fmt.Sprintf("%.0f min, %.0f min", r.real(m).Minutes(), r.real(l).Minutes())
	}
	return lab.Row{name, t.possible, t.found, t.beyond, t.beyondToo, median, longest, real,
		t.sound, t.alarms[severe], t.alarms[lower], t.alarms[harmless]}
}

// rivalsTable shows the other rules on the same runs.
func rivalsTable(b *strings.Builder, results []result) {
	t := tallyOf(results)
	rows := []lab.Row{
		{"rule", "faults found", "of those beyond watching", "alarms on sound programs"},
		{"**otelgoroutine**", share(t.found, t.possible), share(t.beyondToo, t.beyond), share(t.alarms[severe], t.sound)},
	}
	for i, rule := range rules {
		var of, n [3]int // faulty, beyond watching, sound
		for _, r := range results {
			if r.Trouble != "" || r.Seen.Alarms[i].Missing {
				continue
			}
			kind, counts := 2, r.Seen.Alarms[i].Raised
			if r.Faulty {
				kind, counts = one(r.Beyond != ""), r.Seen.Alarms[i].Named
			}
			of[kind]++
			n[kind] += one(counts)
		}
		rows = append(rows, lab.Row{rule, share(n[0], of[0]), share(n[1], of[1]), share(n[2], of[2])})
	}
	lab.Table(b, rows)
}

// soonTable tells of each fault that stops a service how it was told.
func (r *report) soonTable(b *strings.Builder, results []result) {
	wanted := tallyOf(results).wanted
	if len(wanted) == 0 {
		return
	}
	rows := []lab.Row{{"told within three minutes", "first by", "after", "as sure as wanted", "root named", "events", "incidents", "ends told", "thinned"}}
	for _, w := range wanted {
		c, by := w.Course, "–"
		if w.Found {
			by = fmt.Sprintf("%s (%s)", w.By.Detector, w.By.Confidence)
		}
		after := "–"
		if c.Told {
			after = r.real(c.After).Round(time.Second).String()
		}
		rows = append(rows, lab.Row{w.Name, by, after, yes(c.Soon), yes(c.Root), c.Events, c.Incidents, c.Ends, c.Thinned})
	}
	lab.Table(b, rows)
	b.WriteString("\n")
}

// growthTable tells of each program in which goroutines grow in number how that
// was told.
func (r *report) growthTable(b *strings.Builder, results []result) {
	rows := []lab.Row{{"what grows", "wanted", "told after", "in time", "named", "worst told"}}
	for _, w := range results {
		g := w.Growth
		if g.Wanted == nil || w.Trouble != "" {
			continue
		}
		wanted, after := "at most "+g.Wanted.Confidence, "–"
		if w.Faulty {
			wanted = fmt.Sprintf("%s, %v min", g.Wanted.Confidence, g.Wanted.Within.Minutes())
		}
		if g.Told {
			after = r.real(g.After).Round(time.Second).String()
		}
		rows = append(rows, lab.Row{w.Name, wanted, after, yes(g.InTime), yes(g.Named), worstTold(w.Seen.Events)})
	}
	if len(rows) > 1 {
		lab.Table(b, rows)
		b.WriteString("\n")
	}
}

// worstTold names the event that is told with most confidence.
func worstTold(events []watch.Finding) string {
	if len(events) == 0 {
		return "–"
	}
	f := slices.MaxFunc(events, func(a, b watch.Finding) int {
		return cmp.Compare(one(a.AtLeast(b.Confidence)), one(b.AtLeast(a.Confidence)))
	})
	return fmt.Sprintf("%s (%s)", f.Detector, f.Confidence)
}

func yes(b bool) string { return map[bool]string{true: "yes", false: "**no**"}[b] }

// lists tells what went wrong, by name.
func lists(b *strings.Builder, results []result) {
	t := tallyOf(results)
	others := func(r result) string { return also(r.Others) }
	section(b, "Missed", t.missed, func(r result) string {
		text := fmt.Sprintf("%s; goroutines there over time: %v", expectation(r.Name), r.Seen.Course)
		if len(r.Others) > 0 {
			text += "; also " + others(r)
		}
		return text
	})
	section(b, "Found on sound programs", t.alarmed, others)
	section(b, "Faults told by more than four events, as more than one incident, or as ended", unquiet(results), func(r result) string {
		text := fmt.Sprintf("%d events, %d incidents, %d ends", r.Course.Events, r.Course.Incidents, r.Course.Ends)
		for _, end := range r.Seen.Thinned {
			text += fmt.Sprintf("; with snapshots %s, %s ended after %v", end.Thinning, end.Detector, r.Seen.real(end.At).Round(time.Second))
		}
		return text
	})
	section(b, "Runs that failed", t.ko, func(r result) string { return r.Trouble })
	section(b, "Found besides the fault", slices.DeleteFunc(slices.Clone(results), func(r result) bool {
		return r.Trouble != "" || !r.Faulty || !r.Found || r.worst() == harmless
	}), others)
}

// unquiet returns the faults that asked for more attention than they deserve.
func unquiet(results []result) []result {
	return slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.Trouble != "" || r.Course.once() })
}

func section(b *strings.Builder, title string, results []result, say func(result) string) {
	if len(results) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s:\n\n", title)
	for _, r := range results {
		fmt.Fprintf(b, "- %s: %s\n", r.Name, say(r))
	}
}

func expectation(name string) string {
	s, _ := corpus.Find(name)
	var all []string
	for _, x := range s.Expect {
		all = append(all, x.Detector+" at "+x.Function)
	}
	return strings.Join(all, " or ")
}

func also(others []watch.Finding) string {
	var all []string
	for _, f := range others {
		short := f.Function[strings.LastIndexByte(f.Function, '/')+1:]
		all = append(all, fmt.Sprintf("%s (%s) at %s, %d goroutines", f.Detector, f.Confidence, short, f.Count))
	}
	return strings.Join(all, ", ")
}

// beyond lists the faults that watching cannot tell from sound programs.
func (r *report) beyond(b *strings.Builder) {
	head := "\n## Beyond watching\n\nWhat cannot be told from a sound program without the leak proof, and why:\n\n"
	for _, s := range r.scenarios {
		if s.Beyond != "" {
			proof := map[bool]string{true: " The leak proof finds it, and counts it among the faults."}[s.Proof]
			fmt.Fprintf(b, "%s- %s: %s.%s\n", head, s.Name, s.Beyond, proof)
			head = ""
		}
	}
}
