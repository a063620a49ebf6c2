// Package source reads goroutine snapshots from wherever they are: files,
// standard input, and processes that serve net/http/pprof. What a file holds is
// told from its content, never from its name.
//
// Everything that is read has a bound and every request a deadline.
package source
