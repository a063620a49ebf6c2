// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/otelgoroutine/go/collector-config/scale/load"
)

// serviceCommand makes this program one of the processes that are recorded.
const serviceCommand = "service"

// runService runs a process to record. It ends at the end of its standard input,
// so that it does not outlive the recorder.
func runService(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("service needs one argument, a seed")
	}
	seed, err := strconv.ParseUint(args[0], 10, 64)
	if err != nil {
		return fmt.Errorf("service %q: the seed must be a number", args[0])
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() { _, _ = io.Copy(io.Discard, stdin); cancel() }()
	return load.RunService(ctx, seed, func(address string) { fmt.Fprintln(stdout, address) })
}

// The processes that are recorded. There are few, because each takes part of the
// machine while it is recorded, and more than one, so that not all replicas have
// the same numbers.
const (
	recorded = 8
	gap      = 250 * time.Millisecond
)

// record records as many moments as a load shows, and those by which the replicas
// or targets with one recording are apart.
func record(ctx context.Context, moments int, b bench) ([]load.Recording, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b.tell("recording %d moments of %d processes, for %v", moments, recorded, (gap * time.Duration(moments)).Round(time.Second))
	return load.Recorder{
		Service: func(ctx context.Context, seed int) *exec.Cmd {
			cmd := exec.CommandContext(ctx, self, serviceCommand, strconv.Itoa(seed))
			cmd.Stderr = b.progress
			return cmd
		},
		Processes: recorded, Moments: moments, Gap: gap,
	}.Record(ctx)
}

const (
	// spread is by how many moments targets with one recording are apart.
	spread = 20
	// scenes is how many moments of a process replicas show again and again.
	scenes = 40
)

// runReplicas exports to a Collector of the user's.
func runReplicas(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("replicas", flag.ContinueOnError)
	f.SetOutput(stderr)
	c := load.ReplicasConfig{Services: services}
	f.StringVar(&c.Endpoint, "endpoint", "localhost:4317", "host:port of OTLP over gRPC, without TLS")
	f.IntVar(&c.Replicas, "n", 1000, "replicas")
	f.IntVar(&c.Stacks, "stacks", 20, "stacks with series of their own")
	f.DurationVar(&c.Interval, "interval", time.Minute, "time between two exports of a replica")
	f.BoolVar(&c.Compress, "gzip", false, "compress requests")
	storm := f.Int("findings", 0, "findings that each replica opens at once, after two intervals")
	if err := f.Parse(args); err != nil {
		return err
	}
	o := options{replicas: c.Replicas, targets: 1, stacks: c.Stacks, findings: max(*storm, 1), fleet: 1, export: c.Interval, collection: time.Second, span: time.Second}
	if err := o.check(); err != nil {
		return err
	}
	var err error
	if c.Films, err = films(ctx, c.Interval, bench{progress: stderr}); err != nil {
		return err
	}
	replicas, err := load.StartReplicas(ctx, c)
	if err != nil {
		return err
	}
	if *storm > 0 && wait(ctx, 2*c.Interval) == nil {
		err = replicas.Storm(ctx, *storm)
	}
	tell(ctx, c.Interval, func() { fmt.Fprintf(stdout, "%+v\n", replicas.Sent()) })
	return errors.Join(err, replicas.Close())
}

// films returns what replicas show.
func films(ctx context.Context, interval time.Duration, b bench) ([]load.Film, error) {
	recordings, err := record(ctx, scenes, b)
	if err != nil {
		return nil, err
	}
	return load.Films(recordings, interval)
}

// runTargets serves targets for a Collector of the user's.
func runTargets(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("targets", flag.ContinueOnError)
	f.SetOutput(stderr)
	n := f.Int("n", 1000, "targets")
	moments := f.Int("moments", 200, "snapshots that each has; after that it answers 404")
	file := f.String("file", "targets.json", "file for file_sd_configs that is written")
	if err := f.Parse(args); err != nil {
		return err
	}
	if *n < 1 || *n > maxLoad || *moments < 1 || *moments > maxMoments {
		return fmt.Errorf("-n %d -moments %d: there must be 1 to %d targets and 1 to %d moments", *n, *moments, maxLoad, maxMoments)
	}
	recordings, err := record(ctx, *moments+spread, bench{progress: stderr})
	if err != nil {
		return err
	}
	targets, err := load.ServeTargets(*n, recordings, spread)
	if err != nil {
		return err
	}
	if err = writeTargets(*file, targets.Addresses()); err == nil {
		tell(ctx, time.Minute, func() { fmt.Fprintf(stdout, "%+v\n", targets.Answers(time.Minute)) })
	}
	return errors.Join(err, targets.Close())
}

// maxMoments bounds recordings, which are kept in memory.
const maxMoments = 2000

// services is how many services the replicas and targets belong to.
const services = 50

// writeTargets writes targets in the form of file_sd_configs, as many jobs as there
// are services.
func writeTargets(file string, addresses []string) error {
	type group struct {
		Targets []string          `json:"targets"`
		Labels  map[string]string `json:"labels"`
	}
	groups := make([]group, min(services, len(addresses)))
	for i := range groups {
		groups[i].Labels = map[string]string{"job": fmt.Sprintf("shop-service-%d", i)}
	}
	for i, a := range addresses {
		g := &groups[i%len(groups)]
		g.Targets = append(g.Targets, a)
	}
	text, err := json.MarshalIndent(groups, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o644)
}

// tell calls print at an interval until ctx ends.
func tell(ctx context.Context, interval time.Duration, print func()) {
	for wait(ctx, interval) == nil {
		print()
	}
}

// wait waits for some time, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
