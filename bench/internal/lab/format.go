package lab

import (
	"strconv"
	"time"
)

// Duration formats with three digits; 0 is what could not be measured, or was
// not there.
func Duration(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	f, unit := float64(d), "ns"
	for _, larger := range []string{"µs", "ms", "s"} {
		if f < 999.5 {
			break
		}
		f, unit = f/1000, larger
	}
	return Digits(f) + " " + unit
}

// Size formats bytes with three digits.
func Size(n int64) string {
	f, unit := float64(n), "B"
	for _, larger := range []string{"KiB", "MiB", "GiB"} {
		if f < 999.5 {
			break
		}
		f, unit = f/1024, larger
	}
	return Digits(f) + " " + unit
}

// Digits formats f with three digits, one or two below 1.
func Digits(f float64) string {
	switch {
	case f == 0 || f >= 99.95:
		return strconv.FormatFloat(f, 'f', 0, 64)
	case f >= 9.995:
		return strconv.FormatFloat(f, 'f', 1, 64)
	case f < 0.0995:
		return strconv.FormatFloat(f, 'f', 3, 64)
	}
	return strconv.FormatFloat(f, 'f', 2, 64)
}

// Thousands formats n with commas.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
