// Package leaks asks the runtime which goroutines of this process can never go
// on.
package leaks

import (
	"bytes"
	"errors"
	"runtime/pprof"

	"github.com/google/pprof/profile"
)

// ErrNone says that this runtime cannot be asked: it is Go 1.26 without
// GOEXPERIMENT=goroutineleakprofile.
var ErrNone = errors.New("this runtime has no profile goroutineleak")

// A Group is goroutines of one stack that can never go on.
type Group struct {
	Count     int
	Functions []string // the leaf first
}

// Ask returns them. It stops the world, and goroutines that the runtime takes
// for leaked must not be woken afterwards.
func Ask() ([]Group, error) {
	proof := pprof.Lookup("goroutineleak")
	if proof == nil {
		return nil, ErrNone
	}
	var b bytes.Buffer
	if err := proof.WriteTo(&b, 0); err != nil {
		return nil, err
	}
	p, err := profile.Parse(&b)
	if err != nil {
		return nil, err
	}
	var all []Group
	for _, s := range p.Sample {
		if s.Value[0] > 0 {
			all = append(all, Group{Count: int(s.Value[0]), Functions: functionsOf(s)})
		}
	}
	return all, nil
}

func functionsOf(s *profile.Sample) (functions []string) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				functions = append(functions, line.Function.Name)
			}
		}
	}
	return functions
}
