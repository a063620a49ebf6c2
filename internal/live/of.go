package live

// Of returns the recorder of a monitor, an *otelgoroutine.Monitor, which
// begins to record when it is first called. Package otelgoroutine sets it, so
// that Monitor needs no exported method for it.
var Of func(monitor any) *Recorder
