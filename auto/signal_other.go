//go:build !unix

package auto

import "os"

// signals are those that OTELGOROUTINE_CAPTURE_SIGNAL may name: there are none here.
var signals map[string]os.Signal
