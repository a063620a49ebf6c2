// Package places is the model that detectors share: what happened to the
// goroutines of a place from snapshot to snapshot.
//
// A [Series] is the snapshots that are judged together. A [Place] is somewhere
// goroutines are in the newest of them, seen over the whole series: how many
// there were ([Place.Count]), whether any left or joined ([Place.Left],
// [Place.Joined]), since when none left ([Place.StoodSince]), how many were born
// when ([Place.Born]), which have stood there for some time
// ([Place.StandingFor]), and which of those that were woken are still there
// ([Place.Woken], [Standing.Unchanged]). A [Grouping] says what makes a place.
//
// A Series is built once for a snapshot and shared by all detectors that judge
// it. Whatever costs more than a pass over the newest snapshot is worked out
// when it is first asked for, and kept. Detectors that look back for different
// times use one series from different snapshots on: see [Series.Back].
//
// A Series is not safe for concurrent use. It keeps the snapshots and never
// changes them; what it returns is shared as well and read only.
package places
