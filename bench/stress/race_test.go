//go:build race

package stress

// raceEnabled reports whether the race detector is on. It allows 8,128
// goroutines at a time.
const raceEnabled = true
