package safetytest

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// span is how long each program runs. Without the guard those that are not safe
// end within a few seconds, most of the time.
const span = 30 * time.Second

func TestProgramsSurvive(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for minutes")
	}
	for _, tt := range []struct {
		program string
		traced  bool
		told    string
	}{
		{"framed", true, ""},
		{"sound", true, ""},
		{"frameless", false, "main.spoil"},
		{"md5simd", false, "replace module github.com/minio/md5-simd@v1.1.2"},
		{"metro", false, "replace module github.com/dgryski/go-metro@v0.0.0-20211217172704-adc40b04c140"},
	} {
		t.Run(tt.program, func(t *testing.T) {
			said := run(t, tt.program)
			counts := regexp.MustCompile(`survived: trace=(\d+) text=(\d+) ids=(\d+)`).FindStringSubmatch(said)
			require.Len(t, counts, 4, said)
			traces, _ := strconv.Atoi(counts[1])
			ids, _ := strconv.Atoi(counts[3])
			assert.Equal(t, tt.traced, traces > 0, said)
			assert.Positive(t, ids, said)
			assert.Contains(t, said, tt.told)
		})
	}
}

// run builds and runs a program and returns what it said.
func run(t *testing.T, program string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), program)
	out, err := exec.Command("go", "build", "-o", binary, "./"+program).CombinedOutput()
	require.NoError(t, err, string(out))
	ctx, cancel := context.WithTimeout(t.Context(), 4*span)
	defer cancel()
	out, err = exec.CommandContext(ctx, binary, "-for", span.String()).CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}
