// Package knowntest checks [detectors.KnownGood], the list of stacks that wait
// by design, against the libraries it speaks of by running them: servers,
// clients, pools, subscriptions and exporters, over the loopback interface. It
// is a module of its own because of what that needs, and has tests only.
//
// Three things are held. Every function that the list names occurs in a stack
// that the list matches, in this Go version and these versions of the
// libraries. Fleets of clients, connections and streams that come up and stay
// raise no alarm. And what is made again and again and never closed, be it
// behind an entry of the list, is found.
//
// The snapshots are real and the time between them is not: a snapshot stands for
// the next minute whenever it is taken, so that hours take seconds and nothing
// depends on how fast the machine is.
package knowntest
