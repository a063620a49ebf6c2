// Package rig starts the real programs: the Collector of distribution/, the
// example, and Prometheus where it is installed. The tests and the command
// local use it, so that what a person sees is what is tested.
//
// All addresses are on the loopback interface. Every process that is started is
// ended, and waited for, by its Stop.
package rig
