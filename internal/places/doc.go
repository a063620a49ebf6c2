// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package places is the model that detectors share: what happened to the
// goroutines of a place from snapshot to snapshot.
//
// A [Series] holds the snapshots that are judged together. A [Place] is where
// goroutines are in the newest snapshot, and describes that place over the whole
// series: how many goroutines there were ([Place.Count]), whether any left or
// joined ([Place.Left], [Place.Joined]), since when none left
// ([Place.StoodSince]), how many were born in a span of time ([Place.Born]),
// which have stayed for some time ([Place.StandingFor]), and which were woken
// and are still there ([Place.Woken], [Standing.Unchanged]). A [Grouping]
// determines which goroutines share a place.
//
// A Series is built once for each snapshot and shared by all detectors. Whatever
// costs more than one pass over the newest snapshot is computed on first use,
// and cached. Detectors with histories of different lengths use the same series
// from different snapshots on: see [Series.Back].
//
// A Series is not safe for concurrent use. It keeps the snapshots and never
// changes them. What it returns is shared and must not be modified.
package places
