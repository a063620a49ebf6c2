// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
)

// defaultProfileKeep is how many profiles are kept in a directory that a variable names
// and the code does not.
const defaultProfileKeep = 20

// A variable is an environment variable for what an operator would turn. The table
// in docs/environment.md is made of these.
type variable struct {
	name    string // without the prefix; in lower case it is the name of a setting
	accepts string // follows "it must be"; also the second column of the table
	effect  string // the third
	set     func(c *config, value string) error
}

// variables has all variables, in the order in which they take effect.
var variables = []variable{
	{"ENABLED", "true or false", "false: nothing is observed. Start returns a monitor that does nothing and no error, even if an option is wrong: no capture, no goroutine, no instrument.",
		boolean(func(c *config, on bool) { c.off = !on })},
	{"INTERVAL", fmt.Sprintf("a duration from %v to %v, such as 30s", MinInterval, MaxInterval), "The time between snapshots, on average (`WithInterval`; 15 s by default).",
		duration(func(_ *config, d time.Duration) Option { return WithInterval(d) })},
	{"BUDGET_CPU", "a share of one core, above 0 and at most 1, or a percentage, such as 0.005 or 0.5%", "What snapshots may cost (`WithBudget`, `Budget.CPU`; 0.5% by default).",
		setBudgetCPU},
	{"BUDGET_PAUSE", "a duration above 0 and at most 1s, such as 10ms", "The longest predicted stop of the world (`WithBudget`, `Budget.Pause`; 10 ms by default).",
		duration(func(c *config, d time.Duration) Option { return WithBudget(Budget{CPU: c.budget.CPU, Pause: d}) })},
	{"SOURCE", "auto or profile_only", "How snapshots are taken (`WithSource`). profile_only never uses the tracer, nor the flight recorder of the code.",
		setSource},
	{"DETECTORS", "a list of detector names, separated by commas; a name with a minus removes that detector; all and none are names too", "Which detectors run (`WithDetectors`). `leak,hang`: these two. `-surge,-pileup`: all of the code but these. `all,-surge`: all built-in ones and those of the code, but this. `none`: metrics only.",
		setDetectors},
	{"TOP_STACKS", fmt.Sprintf("a number from 1 to %d", MaxTopStacks), "The number of stacks with series of their own (`WithTopStacks`; 20 by default).",
		integer(func(n int) Option { return WithTopStacks(n) })},
	{"PROFILE_DIR", "the path of a directory, or none", "Where a profile is saved with each detection (`WithProfileDir`). `none`: none is saved.",
		setProfileDir},
	{"PROFILE_KEEP", fmt.Sprintf("a number from 1 to %d", MaxProfiles), fmt.Sprintf("How many profiles are kept; needs a directory, of the code or of the variable before (%d by default).", defaultProfileKeep),
		setProfileKeep},
	{"PROFILE_INTERVAL", fmt.Sprintf("a duration from %v to %v, such as 10m, or none", MinProfilePeriod, MaxProfilePeriod), "The time between profiles that are saved without a detection (`WithPeriodicProfiles`); needs a directory, as the next. `none`: none is saved.",
		setProfileInterval},
	{"PROFILE_INTERVAL_KEEP", fmt.Sprintf("a number from 1 to %d", MaxProfiles), fmt.Sprintf("How many of these profiles are kept (%d by default).", defaultProfileKeep),
		setProfileIntervalKeep},
	{"CAPTURE_SIGNAL", "SIGUSR1, SIGUSR2 or SIGHUP, or none", "The signal on which a snapshot is taken and saved (`WithCaptureSignals`); needs a directory. Only package auto reads it: a program that calls Start chooses its signals itself.",
		checkCaptureSignal},
	{"LABEL_KEYS", fmt.Sprintf("1 to %d label keys, separated by commas, or none", MaxLabelKeys), "pprof labels as attributes (`WithLabelKeys`). `none`: none.",
		setLabelKeys},
	{"FINDING_LABELS", fmt.Sprintf("1 to %d label keys, separated by commas, or none", MaxLabelKeys), "pprof labels of the goroutines of a finding, in its event (`WithFindingLabels`). `none`: none.",
		setFindingLabels},
	{"KNOWN_STACKS", "the path of a file as in docs/known-stacks.md", "Stacks that wait by design, in addition to those of the code (`WithKnownStacks`).",
		setKnownStacks},
	{"LEAK_PROOF", "true or false", "Whether the runtime proves leaks (`WithLeakProof`; false by default). Read the documentation of the option first.",
		boolean(func(c *config, on bool) { c.leakProof = on })},
}

// errNotAccepted stands for a value that cannot be read. The message says what is
// accepted.
var errNotAccepted = errors.New("not accepted")

// boolean reads true or false, in any case.
func boolean(set func(*config, bool)) func(*config, string) error {
	return func(c *config, value string) error {
		on := strings.EqualFold(value, "true")
		if !on && !strings.EqualFold(value, "false") {
			return errNotAccepted
		}
		set(c, on)
		return nil
	}
}

// duration reads a duration and applies the option.
func duration(option func(*config, time.Duration) Option) func(*config, string) error {
	return func(c *config, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil {
			return errNotAccepted
		}
		option(c, d).apply(c)
		return nil
	}
}

// integer reads a number and applies the option.
func integer(option func(int) Option) func(*config, string) error {
	return func(c *config, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil {
			return errNotAccepted
		}
		option(n).apply(c)
		return nil
	}
}

func setBudgetCPU(c *config, value string) error {
	number, percent := strings.CutSuffix(value, "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(share) {
		return errNotAccepted
	}
	if percent {
		share /= 100
	}
	WithBudget(Budget{CPU: share, Pause: c.budget.Pause}).apply(c)
	return nil
}

func setSource(c *config, value string) error {
	switch strings.ToLower(value) {
	case "auto":
		c.source = SourceAuto
	case "profile_only":
		c.source, c.recorder = SourceProfileOnly, nil
	default:
		return errNotAccepted
	}
	return nil
}

// setDetectors chooses among the detectors of the code and the built-in ones. A list
// that begins with a removal begins with the detectors of the code, any other with none.
func setDetectors(c *config, value string) error {
	available := slices.Clone(c.detectors)
	for _, d := range detectors.Default() {
		if !slices.Contains(namesOf(available), d.Name) {
			available = append(available, d)
		}
	}
	list := listOf(value)
	if len(list) == 0 {
		return errNotAccepted
	}
	chosen := make(map[string]bool)
	if strings.HasPrefix(list[0], "-") {
		choose(chosen, namesOf(c.detectors), true)
	}
	for _, item := range list {
		name, removed := strings.CutPrefix(item, "-")
		switch {
		case item == "all":
			choose(chosen, namesOf(available), true)
		case item == "none":
			clear(chosen)
		case slices.Contains(namesOf(available), name):
			chosen[name] = !removed
		default:
			return fmt.Errorf("there is no detector %q; it must be a list of %s, all or none", clipped(name), strings.Join(namesOf(available), ", "))
		}
	}
	c.detectors = slices.DeleteFunc(available, func(d *detectors.Detector) bool { return !chosen[d.Name] })
	return nil
}

func choose(chosen map[string]bool, names []string, in bool) {
	for _, name := range names {
		chosen[name] = in
	}
}

func namesOf(ds []*detectors.Detector) []string {
	names := make([]string, 0, len(ds))
	for _, d := range ds {
		names = append(names, d.Name)
	}
	return names
}

func setProfileDir(c *config, value string) error {
	if value == "none" {
		c.profileDir, c.profileKeep = "", 0
		if c.archive == nil { // what would be saved has no place left
			c.signals = nil
		}
		if c.archive == nil && c.exporter == nil {
			c.period, c.periodKeep = 0, 0
		}
		return nil
	}
	WithProfileDir(value, cmp.Or(c.profileKeep, defaultProfileKeep)).apply(c)
	return nil
}

func setProfileKeep(c *config, value string) error {
	if c.profileDir == "" {
		return fmt.Errorf("there is no directory to keep profiles in; set %sPROFILE_DIR as well", environmentPrefix)
	}
	return integer(func(n int) Option { return WithProfileDir(c.profileDir, n) })(c, value)
}

func setProfileInterval(c *config, value string) error {
	if value == "none" {
		c.period, c.periodKeep = 0, 0
		return nil
	}
	return duration(func(c *config, d time.Duration) Option {
		return WithPeriodicProfiles(d, cmp.Or(c.periodKeep, defaultProfileKeep))
	})(c, value)
}

func setProfileIntervalKeep(c *config, value string) error {
	if c.period == 0 {
		return fmt.Errorf("no profiles are saved in intervals; set %sPROFILE_INTERVAL as well", environmentPrefix)
	}
	return integer(func(n int) Option { return WithPeriodicProfiles(c.period, n) })(c, value)
}

// checkCaptureSignal changes nothing: package auto, which may use os/signal, does.
func checkCaptureSignal(_ *config, value string) error {
	if !slices.Contains([]string{"SIGUSR1", "SIGUSR2", "SIGHUP", "none"}, value) {
		return errNotAccepted
	}
	return nil
}

func setFindingLabels(c *config, value string) error {
	if value == "none" {
		c.findingLabels = nil
		return nil
	}
	WithFindingLabels(listOf(value)...).apply(c)
	return nil
}

func setLabelKeys(c *config, value string) error {
	if value == "none" {
		c.labelKeys = nil
		return nil
	}
	WithLabelKeys(listOf(value)...).apply(c)
	return nil
}

// setKnownStacks reads a list of exclusions. What is not a regular file, such as a named
// pipe, is refused, because opening it could wait.
func setKnownStacks(c *config, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it must be a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	known, err := detectors.ReadExclusions(f)
	if err != nil {
		return err
	}
	WithKnownStacks(known...).apply(c)
	return nil
}

// listOf splits a list at its commas.
func listOf(value string) (parts []string) {
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}
