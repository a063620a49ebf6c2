package detectors

import "time"

// Default returns the built-in detectors with their default configurations:
// leak, deadlock, blocked_forever, pileup, surge, contention and stall.
func Default() []*Detector { return Scaled(1) }

// Scaled returns the built-in detectors with each of their times multiplied by
// k, which is over 0: with 0.01 a leak is found in half a minute instead of 45.
// It is for demonstrations and for tests that make the faults themselves, with
// an interval between looks that is scaled alike: what takes a service minutes
// must then take it as much less, or healthy work looks like standing still.
// Numbers of goroutines and of looks stay as they are.
func Scaled(k float64) []*Detector {
	leak, deadlock, blocked := LeakConfig{}.withDefaults(), DeadlockConfig{}.withDefaults(), BlockedForeverConfig{}
	pileup, surge := PileupConfig{}.withDefaults(), SurgeConfig{}.withDefaults()
	contention, stall := ContentionConfig{}.withDefaults(), StallConfig{}.withDefaults()
	for _, d := range []*time.Duration{
		&leak.MinAge, &leak.MaxAge, &leak.Window, &leak.Warmup, &leak.MinStand,
		&deadlock.MinWait,
		&pileup.MinWait, &pileup.MinStand, &pileup.Window, &pileup.Warmup,
		&surge.Window, &surge.Warmup,
		&contention.MinWait,
		&stall.MinWait,
	} {
		*d = time.Duration(k * float64(*d))
	}
	return []*Detector{
		NewLeak(leak),
		NewDeadlock(deadlock),
		NewBlockedForever(blocked),
		NewPileup(pileup),
		NewSurge(surge),
		NewContention(contention),
		NewStall(stall),
	}
}
