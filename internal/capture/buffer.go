package capture

const (
	// maxTrace is the maximum number of bytes a source may write. In an idle
	// process a trace has about 20 bytes per goroutine; the rest is what the
	// program did while it was traced.
	maxTrace = 256 << 20
	// keepTrace is how many bytes of a buffer are kept for the next snapshot.
	keepTrace = 4 << 20
)

// A cappedBuffer keeps what is written to it, up to maxTrace bytes and until its
// deadline. Then Write returns a *Refusal.
type cappedBuffer struct {
	data     []byte
	expect   int       // size of the last content
	deadline *deadline // of the capture that writes
}

// begin empties the buffer for a capture with this deadline.
func (b *cappedBuffer) begin(d *deadline) { b.data, b.deadline = b.data[:0], d }

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if err := b.deadline.err(); err != nil {
		return 0, err
	}
	if len(b.data)+len(p) > maxTrace {
		return 0, refuse(ReasonSize, "a snapshot of over %d MiB; the process is too busy for this source", maxTrace>>20)
	}
	if cap(b.data) == 0 { // allocate at once, instead of growing through every smaller size
		b.data = make([]byte, 0, min(max(b.expect+b.expect/8, len(p)), maxTrace))
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

// release empties the buffer. If its capacity exceeds keep, its memory is freed.
func (b *cappedBuffer) release(keep int) {
	b.expect = len(b.data)
	if cap(b.data) > keep {
		b.data = nil
	}
	b.data = b.data[:0]
}
