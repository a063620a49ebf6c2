// Package capture asks the runtime what its goroutines are doing. It is the
// only package of the module that does.
//
// A [Capturer] has the sources, in the order in which they are tried. Before it
// asks one, two things are decided apart from each other: whether this process
// can bear it (safety.go), and whether its predicted cost is covered ([Governor]).
// What a source gives and how it is guarded is in source.go; each source has a
// file of its own.
//
// # Expected behaviour
//
// No regular source stops the world for longer the more goroutines there are;
// the goroutine dump does, and is taken only where its predicted stop is within
// the budget. None starts a goroutine that outlives the capture. None makes the
// user's own tracing or profiling fail, with one exception, which docs/DESIGN.md
// describes. A source that cannot run says why, and the next one takes over.
package capture
