// Package collectorconfig has no code: the folder is what operators copy, and
// this package's tests run it on the real programs.
package collectorconfig
