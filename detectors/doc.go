// Package detectors finds goroutines that will never finish, in a series of
// snapshots.
//
// A [Detector] is a name, a sentence, what it needs and a function over a
// [Pass]. It is pure: it knows the time only from the snapshots, asks the
// runtime nothing and keeps no state, so that the same snapshots give the same
// findings again, in a test and on a saved series.
//
// The detectors of this module each have a file of their own, with what makes
// them fire, the reason behind every threshold, and what they cannot see:
// [NewLeak], [NewDeadlock], [NewBlockedForever], [NewPileup], [NewSurge],
// [NewContention] and [NewStall]. [Default] returns them all. To change one,
// start from its defaults: from [DefaultLeakConfig], and so on. A value of 0
// means 0. [Validate] reports a configuration that cannot be.
//
// Package detectortest replays series of snapshots through a detector.
package detectors
