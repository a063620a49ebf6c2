// Package incident turns what detectors find, look after look, into incidents:
// each is opened once, repeated when it gets worse, and resolved when it is
// gone. It is what stands between detectors, which say the same thing every
// few seconds, and people, who want to hear it once.
//
// A [Tracker] is pure: it knows the time only from its caller, starts no
// goroutine and holds no lock. The same steps give the same events.
//
// # Expected behaviour
//
// Every incident that is reported goes through Detected, any number of
// Repeated, and Resolved. The number of events is bounded whatever the input
// (see [Config.Bound]), and so is the memory: a service in a storm must not be
// hit by a second one from its own monitor. What is not reported one by one is
// still tracked, counted by [Tracker.Open] and summed up in Suppressed events.
package incident
