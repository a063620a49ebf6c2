// Package capture asks the runtime what its goroutines are doing. It is the
// only package of the module that does.
//
// A [Capturer] knows the sources, in the order in which they are tried, and a
// [Governor] that says which of them may run now. Each source says what it
// gives and what it costs, in its own file.
//
// # Expected behaviour
//
// No source stops the world for a walk over goroutines. None starts a
// goroutine that outlives the capture, and none makes the user's own tracing
// or profiling fail (docs/DESIGN.md has the one exception, and how it is kept
// rare). A source that cannot run says why, and the next one takes over.
package capture
