package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/events"
	"github.com/otelgoroutine/go/bench/internal/lab"
)

// leastRecall is the share of the faults to be found.
const leastRecall = 0.95

// A report is all that came out.
type report struct {
	Machine  string
	Started  time.Time
	Scale    float64
	Duration time.Duration
	Settings []settingResult
}

func thisMachine(o options) string {
	return fmt.Sprintf("%d cores, %s/%s, %d programs side by side", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, o.parallel)
}

// save prints the report, and writes the files that are asked for.
func (r *report) save(o options, stdout io.Writer) error {
	text := r.markdown()
	if _, err := io.WriteString(stdout, text); err != nil {
		return err
	}
	if o.markdown != "" {
		if err := os.WriteFile(o.markdown, []byte(text), 0o666); err != nil {
			return fmt.Errorf("-markdown: %w", err)
		}
	}
	if o.json == "" {
		return nil
	}
	return lab.SaveJSON(o.json, r)
}

func (r *report) passed() bool {
	return !slices.ContainsFunc(r.Settings, func(s settingResult) bool { t := s.tally(); return !t.passed() })
}

// A tally counts results.
type tally struct {
	possible, found    int // faults that can be found in this setting
	beyond, beyondToo  int // those that cannot, and were
	sound              int
	severe, lower      int // sound programs with a finding of this rank at worst
	info               int
	trouble            int
	after              []time.Duration
	missed, false_, ko []result
}

func (s settingResult) tally() tally { return count(s.Results) }

func count(results []result) (t tally) {
	for _, r := range results {
		switch {
		case r.Trouble != "":
			t.trouble++
			t.ko = append(t.ko, r)
			continue
		case r.Faulty && r.Beyond != "":
			t.beyond++
			if r.Found {
				t.beyondToo++
			}
		case r.Faulty:
			t.possible++
			if r.Found {
				t.found++
			} else {
				t.missed = append(t.missed, r)
			}
		default:
			t.sound++
			t.alarm(r)
		}
		if r.Found {
			t.after = append(t.after, r.After)
		}
	}
	slices.Sort(t.after)
	return t
}

func (t *tally) alarm(r result) {
	if len(r.Others) == 0 {
		return
	}
	switch r.worst() {
	case severe:
		t.severe++
	case lower:
		t.lower++
	default:
		t.info++
	}
	t.false_ = append(t.false_, r)
}

// passed reports whether the targets are met.
func (t *tally) passed() bool {
	return float64(t.found) >= leastRecall*float64(t.possible) && t.severe == 0 && t.trouble == 0
}

// markdown is the report for people.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Detection: results\n\n%s, %s. Each program ran for %v at a scale of %v, which is %v of a service.\n\n",
		r.Started.Format("2 January 2006"), r.Machine, r.Duration, r.Scale, r.real(r.Duration).Round(time.Minute))
	b.WriteString("[README.md](README.md) says what was run and what the columns mean. Times to detection vary with the load of the machine.\n")
	r.summary(&b)
	for i := range r.Settings {
		r.setting(&b, &r.Settings[i])
	}
	r.beyond(&b)
	return b.String()
}

// real converts a time of the run to that of a service.
func (r *report) real(d time.Duration) time.Duration { return time.Duration(float64(d) / r.Scale) }

func (r *report) summary(b *strings.Builder) {
	b.WriteString("\n## Targets\n\n| setting | found | false alarms | runs that failed | |\n|---|---|---|---|---|\n")
	for i := range r.Settings {
		t := r.Settings[i].tally()
		verdict := "PASS"
		if !t.passed() {
			verdict = "MISS"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %d | %s |\n", r.Settings[i].Setting, share(t.found, t.possible), share(t.severe, t.sound), t.trouble, verdict)
	}
}

func share(n, of int) string {
	if of == 0 {
		return "–"
	}
	return fmt.Sprintf("%d of %d (%.0f %%)", n, of, 100*float64(n)/float64(of))
}

func (r *report) setting(b *strings.Builder, s *settingResult) {
	fmt.Fprintf(b, "\n## %s\n\n", s.Setting)
	r.classes(b, s)
	rivalsTable(b, s)
	r.lists(b, s)
}

func (r *report) classes(b *strings.Builder, s *settingResult) {
	b.WriteString("| class | faults | found | beyond | found too | median time | longest | of a service | sound | false alarms | lower | info |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	line := func(name string, t *tally) {
		median, longest, real := "–", "–", "–"
		if n := len(t.after); n > 0 {
			m, l := t.after[n/2], t.after[n-1]
			median, longest = seconds(m), seconds(l)
			real = fmt.Sprintf("%s, %s", minutes(r.real(m)), minutes(r.real(l)))
		}
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %s | %s | %s | %d | %d | %d | %d |\n",
			name, t.possible, t.found, t.beyond, t.beyondToo, median, longest, real, t.sound, t.severe, t.lower, t.info)
	}
	for _, c := range corpus.Classes() {
		of := slices.DeleteFunc(slices.Clone(s.Results), func(r result) bool { return r.Class != c })
		if len(of) > 0 {
			t := count(of)
			line(string(c), &t)
		}
	}
	all := s.tally()
	line("**all**", &all)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
func minutes(d time.Duration) string { return fmt.Sprintf("%.0f min", d.Minutes()) }

// rivalsTable shows the other rules on the same runs.
func rivalsTable(b *strings.Builder, s *settingResult) {
	t := s.tally()
	b.WriteString("\n| rule | faults found | of those beyond watching | alarms on sound programs |\n|---|---|---|---|\n")
	fmt.Fprintf(b, "| **otelgoroutine** | %s | %s | %s |\n", share(t.found, t.possible), share(t.beyondToo, t.beyond), share(t.severe, t.sound))
	for i, rule := range rules() {
		var found, faults, beyondFound, beyond, raised, sound int
		for _, r := range s.Results {
			if r.Trouble != "" || r.Seen == nil || !r.Seen.Alarms[i].Ran {
				continue
			}
			a := r.Seen.Alarms[i]
			switch {
			case r.Faulty && r.Beyond != "":
				beyond++
				beyondFound += one(a.Named)
			case r.Faulty:
				faults++
				found += one(a.Named)
			default:
				sound++
				raised += one(a.Raised)
			}
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", rule, share(found, faults), share(beyondFound, beyond), share(raised, sound))
	}
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lists tells what went wrong, by name.
func (r *report) lists(b *strings.Builder, s *settingResult) {
	t := s.tally()
	section(b, "Missed", t.missed, func(r result) string {
		return fmt.Sprintf("%s; goroutines there over time: %v%s", expectation(r.Name), r.Seen.Course, also(r.Others))
	})
	section(b, "Found on sound programs", t.false_, func(r result) string { return strings.TrimPrefix(also(r.Others), "; also ") })
	section(b, "Runs that failed", t.ko, func(r result) string { return r.Trouble })
	var extra []result
	for _, r := range s.Results {
		if r.Faulty && r.Found && slices.ContainsFunc(r.Others, func(f events.Finding) bool { return rankOf(&f) > harmless }) {
			extra = append(extra, r)
		}
	}
	section(b, "Found besides the fault", extra, func(r result) string { return strings.TrimPrefix(also(r.Others), "; also ") })
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

func also(others []events.Finding) string {
	var b strings.Builder
	for i, f := range others {
		if i == 0 {
			b.WriteString("; also ")
		} else {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s (%s) at %s, %d goroutines", f.Detector, f.Confidence, short(f.Function), f.Count)
	}
	return b.String()
}

// short is a function without the path of its package.
func short(function string) string {
	return function[strings.LastIndexByte(function, '/')+1:]
}

// beyond lists the faults that watching cannot tell from sound programs.
func (r *report) beyond(b *strings.Builder) {
	var all []string
	for _, s := range corpus.All() {
		ran := slices.ContainsFunc(r.Settings, func(set settingResult) bool {
			return slices.ContainsFunc(set.Results, func(res result) bool { return res.Name == s.Name })
		})
		if s.Beyond != "" && ran {
			all = append(all, fmt.Sprintf("- %s: %s.%s\n", s.Name, s.Beyond, map[bool]string{true: " The leak proof finds it, and counts it among the faults."}[s.Proof]))
		}
	}
	if len(all) > 0 {
		fmt.Fprintf(b, "\n## Beyond watching\n\nWhat cannot be told from a sound program without the leak proof, and why:\n\n%s", strings.Join(all, ""))
	}
}
