package detectors

// Default returns the built-in detectors with their default configurations:
// leak, deadlock and blocked_forever.
func Default() []*Detector {
	return []*Detector{
		NewLeak(LeakConfig{}),
		NewDeadlock(DeadlockConfig{}),
		NewBlockedForever(BlockedForeverConfig{}),
	}
}
