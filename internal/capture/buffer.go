// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

const (
	// maxTrace is the maximum number of bytes a source may write. In an idle
	// process a trace has about 20 bytes per goroutine; the rest is what the
	// program did while it was traced.
	maxTrace = 256 << 20
	// keepTrace is how many bytes of a buffer are kept for the next snapshot.
	keepTrace = 4 << 20
)

// A cappedBuffer keeps what is written to it, up to maxTrace bytes and as long as its
// capture is allowed to. Then Write returns a *Refusal.
type cappedBuffer struct {
	data    []byte
	expect  int        // size of the last content
	allowed *allowance // of the capture that writes; nil: no bounds
}

// begin empties the buffer for a capture.
func (b *cappedBuffer) begin(a *allowance) { b.data, b.allowed = b.data[:0], a }

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if err := b.allowed.err(); err != nil {
		return 0, err
	}
	most := b.allowed.most(maxTrace)
	if len(b.data)+len(p) > most {
		return 0, refuse(ReasonSize, "a snapshot of over %s; the process is too busy for this source", inMiB(int64(most)))
	}
	if cap(b.data) == 0 { // allocate at once, instead of growing through every smaller size
		b.data = make([]byte, 0, min(max(b.expect+b.expect/8, len(p)), most))
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

// complete is nil: a buffer that is full refuses the next write.
func (b *cappedBuffer) complete() error { return nil }

// release empties the buffer. If its capacity exceeds keep, or what a capture may
// take, its memory is freed.
func (b *cappedBuffer) release(keep int) {
	b.expect = len(b.data)
	if cap(b.data) > b.allowed.most(keep) {
		b.data = nil
	}
	b.data = b.data[:0]
}
