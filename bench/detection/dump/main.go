// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Dump writes goroutine dumps of the programs of the corpus, for the tests of what
// "goroutines report" says about them. From bench:
//
//	go run ./detection/dump -for 20s NAME > dump.txt
//	go run ./detection/dump -sound ../internal/diagnosis/testdata/sound.txt.gz
//
// With -sound, each sound program runs in a process of its own, and all dumps go into one
// compressed file, each after a line "-- NAME --". Of the goroutines with one stack and
// one state, such a dump keeps the first six.
package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
)

var (
	scale  = flag.Float64("scale", 0.05, "seconds that a second of the program lasts, over 0 to 1")
	during = flag.Duration("for", 20*time.Second, "how long a program runs before its dump")
	sound  = flag.String("sound", "", "file to write the dumps of all sound programs to, in place of one on standard output")
	atOnce = flag.Int("parallel", 4, "programs that run at once, with -sound")
)

func main() {
	flag.Parse()
	err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if *sound != "" {
		return all()
	}
	s, ok := corpus.Find(flag.Arg(0))
	if !ok {
		return fmt.Errorf("no program is called %q; bench/detection/corpus/programs.md has their names", flag.Arg(0))
	}
	if s.Main {
		go func() { end(dump()) }()
		s.Run(corpus.NewEnv(*scale))
	}
	go s.Run(corpus.NewEnv(*scale))
	return dump()
}

// dump waits and writes the dump. The runtime measures waits only from a garbage
// collection on.
func dump() error {
	timer := time.NewTimer(*during)
	<-timer.C
	runtime.GC()
	return pprof.Lookup("goroutine").WriteTo(os.Stdout, 2)
}

func end(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// all writes the dumps of all sound programs, in the order of the corpus.
func all() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var names []string
	for _, s := range corpus.All() {
		if !s.Faulty {
			names = append(names, s.Name)
		}
	}
	dumps, errs := make([][]byte, len(names)), make([]error, len(names))
	free := make(chan struct{}, max(1, *atOnce))
	var wg sync.WaitGroup
	for i, name := range names {
		free <- struct{}{}
		wg.Go(func() {
			dumps[i], errs[i] = dumpOf(self, name)
			<-free
		})
	}
	wg.Wait()
	var packed bytes.Buffer
	z, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	for i, name := range names {
		if errs[i] != nil {
			return fmt.Errorf("%s: %w", name, errs[i])
		}
		fmt.Fprintf(z, "-- %s --\n", name)
		thin(z, string(dumps[i]))
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(*sound, packed.Bytes(), 0o644)
}

// dumpOf runs a program in a process of its own.
func dumpOf(self, name string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), *during+5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, self, "-scale", fmt.Sprint(*scale), "-for", during.String(), name)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// kept is how many goroutines with one stack and one state a thinned dump has.
const kept = 6

var (
	header    = regexp.MustCompile(`^goroutine \d+ `)
	arguments = regexp.MustCompile(`(?m)\([^()\n]*\)$| \+0x[0-9a-f]+$| in goroutine \d+$`)
)

// thin writes a dump without the goroutines of which there are enough.
func thin(w io.Writer, dump string) {
	seen := make(map[string]int)
	for g := range strings.SplitSeq(strings.TrimSpace(dump), "\n\n") {
		key := arguments.ReplaceAllString(header.ReplaceAllString(g, ""), "")
		if seen[key]++; seen[key] <= kept {
			fmt.Fprintf(w, "%s\n\n", g)
		}
	}
}
