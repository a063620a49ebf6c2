// Package collectorconfig has no code: the folder is what operators copy. The
// tests of this package check the files by themselves; those in chaintest run
// them on the real programs.
package collectorconfig
