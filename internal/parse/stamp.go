// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"strconv"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// Redate gives the snapshots of a process other times, and with them the epochs that
// ended at these.
func Redate(snapshots []*goroutine.Snapshot, times []time.Time) {
	moved := make(map[int64]time.Time, len(snapshots))
	for i, s := range snapshots {
		if was := s.Time.UnixNano(); moved[was].IsZero() {
			moved[was] = times[i]
		}
		s.Time = times[i]
	}
	for _, s := range snapshots {
		for i := range s.Epochs {
			if now, ok := moved[s.Epochs[i].End.UnixNano()]; ok {
				s.Epochs[i].End = now
			}
		}
	}
}

// A stamp is the time that a log has on the line of a header.
type stamp struct {
	number int // of the line
	at     time.Time
}

// maxStamps is how many stamps are kept: a header may be held back while other lines
// are read.
const maxStamps = 8

// stamps are the newest stamps.
type stamps struct {
	ring [maxStamps]stamp
	next int
}

func (s *stamps) add(number int, at time.Time) {
	s.ring[s.next] = stamp{number, at}
	s.next = (s.next + 1) % maxStamps
}

// of returns the time of a line, or the zero time.
func (s *stamps) of(number int) time.Time {
	for _, stamp := range s.ring {
		if stamp.number == number {
			return stamp.at
		}
	}
	return time.Time{}
}

// timeOf returns the time that a log gives a line with a header at an offset: one as
// in RFC 3339 among the words before it, or the time of a record. It returns the zero
// time if there is none, or more than one.
func timeOf(line []byte, at int) time.Time {
	before, _, record := bytes.Cut(line[:at], []byte("{"))
	for word := range bytes.FieldsSeq(before) {
		word = bytes.Trim(word, `[]()"',`)
		if _, value, ok := bytes.Cut(word, []byte("=")); ok {
			word = bytes.Trim(value, `"`)
		}
		if t, ok := wholeTime(word); ok {
			return t
		}
	}
	if record {
		return timeOfRecord(line)
	}
	return time.Time{}
}

// timeKeys are the names that loggers give the time of a record.
var timeKeys = [][]byte{[]byte(`"time"`), []byte(`"Time"`), []byte(`"ts"`), []byte(`"timestamp"`), []byte(`"@timestamp"`)}

// timeOfRecord returns the time of a record of JSON. Quotes in its fields are escaped,
// so a name in quotes is one. If it comes twice, the line may have several records.
func timeOfRecord(line []byte) time.Time {
	for _, key := range timeKeys {
		rest, ok := afterKey(line, key)
		if !ok {
			continue
		}
		if _, again := afterKey(rest, key); again {
			return time.Time{}
		}
		end := bytes.IndexAny(rest, ",} \t")
		if end < 0 {
			return time.Time{}
		}
		word := bytes.Trim(rest[:end], `"`)
		if t, ok := wholeTime(word); ok {
			return t
		}
		return unixTime(word)
	}
	return time.Time{}
}

// afterKey returns the value of a name, with all after it.
func afterKey(line, key []byte) (rest []byte, ok bool) {
	for {
		i := bytes.Index(line, key)
		if i < 0 {
			return nil, false
		}
		line = line[i+len(key):]
		if rest, ok := bytes.CutPrefix(bytes.TrimLeft(line, " "), []byte(":")); ok {
			return bytes.TrimLeft(rest, " "), true
		}
	}
}

// wholeTime reads a time with its date and zone.
func wholeTime(word []byte) (time.Time, bool) {
	const shortest, longest = len("2006-01-02T15:04:05Z"), len("2006-01-02T15:04:05.999999999+00:00")
	if len(word) < shortest || len(word) > longest || word[4] != '-' || word[10] != 'T' {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(word))
	return t, err == nil
}

// unixTime reads the time since 1970 in seconds, perhaps with a fraction, or in
// milliseconds, microseconds or nanoseconds: its digits tell the unit for times from
// 2001 to 2286.
func unixTime(word []byte) time.Time {
	whole, fraction, point := bytes.Cut(word, []byte("."))
	n, err := strconv.ParseInt(string(whole), 10, 64)
	if err != nil || n < 0 {
		return time.Time{}
	}
	switch len(whole) {
	case 10:
		f, err := strconv.ParseFloat("0."+string(fraction)+"0", 64)
		if err != nil {
			return time.Time{}
		}
		return time.Unix(n, int64(f*1e9))
	case 13:
		return time.UnixMilli(n)
	case 16:
		return time.UnixMicro(n)
	case 19:
		if !point {
			return time.Unix(0, n)
		}
	}
	return time.Time{}
}
