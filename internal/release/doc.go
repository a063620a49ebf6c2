// Release checks, serves and tags the modules of this repository. Run it from
// anywhere in the repository:
//
//	go run ./internal/release check [-final]
//	go run ./internal/release tidy [-check]
//	go run ./internal/release version v0.2.0
//	go run ./internal/release sums
//	go run ./internal/release tag [-do]
//	go run ./internal/release proxy DIR
//
// docs/RELEASING.md tells when to use which.
//
// All modules have one version, and the repository carries the next one to be
// released: in the constant Version of internal/telemetry, in what the modules
// require of one another, and in go.work. No module has a replacement in its
// go.mod, since the go command installs no module that has one; go.work alone
// makes the modules of a checkout find one another.
//
// A go.sum has no hashes of our own modules between releases: they change with
// every commit. Only the commit that is tagged has them; sums adds them and
// version removes them.
package main
