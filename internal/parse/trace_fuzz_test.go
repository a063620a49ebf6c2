package parse

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzTrace decodes what it is given twice with one decoder, as a process
// does that takes a snapshot every few seconds.
func FuzzTrace(f *testing.F) {
	for _, version := range traceFixtures {
		f.Add(traceFixture(f, version))
	}
	f.Add(quietTrace(100, 3))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := newTestDecoder()
		for n := range 2 {
			s, err := d.Decode(data, traceTime.Add(time.Duration(n)*time.Second))
			if s == nil {
				require.Error(t, err)
				return
			}
			requireSane(t, s)
		}
	})
}
