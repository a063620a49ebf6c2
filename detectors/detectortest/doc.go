// Package detectortest is a kit for testing detectors: it makes series of
// snapshots, replays them through a detector and compares what it finds.
//
// A series comes from a [Process], a simulated Go process whose goroutines are
// born, move and exit in simulated time, so that a test of hours takes
// a moment. [Run] replays a series as a monitor would, through a
// the same engine, and holds the detector to its contract. [Compare]
// compares findings with what a test expects.
//
// A series of snapshots of a real process can be replayed just as well.
//
// # Dependencies
//
// The package imports the standard library and packages of this module.
package detectortest
