// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/source"
)

// errFindings is returned by a command whose --fail-on condition is met.
var errFindings = errors.New("findings")

// userVariable is the environment variable for name:password, which keeps the
// password out of the command line.
const userVariable = "GOROUTINES_USER"

const rootExamples = `  goroutines report http://host:6060                  # a process with net/http/pprof
  goroutines report dump.txt                          # a debug=2 dump, a profile, a trace, a log with a panic
  kubectl logs pod | goroutines report -              # the panic in a log
  goroutines report --samples 5 --every 30s :6060     # with a trend
  goroutines report --format html -o report.html a.pb.gz b.pb.gz
  goroutines report --bundle incident/ http://host:6060
  goroutines diff before.txt after.txt                # what grew, appeared and went
  goroutines report --state sync.Mutex.Lock --min-wait 10m dump.txt
  goroutines watch http://a:6060 http://b:6060        # live
  goroutines watch --otlp localhost:4317 http://host:6060
  goroutines detectors                                # what the detectors find
  goroutines completion bash                          # shell completion
  goroutines man report | man -l -                    # manual page`

// exitStatuses is part of the help and of docs/command.md.
const exitStatuses = `Exit statuses:
  0  success; nothing that --fail-on names was found
  1  a finding met --fail-on, or check says that a program is not safe to trace
  2  the usage or an input is bad, an output could not be written, or the
     command was interrupted (Ctrl-C, SIGTERM); also if only a part of an input
     could be read and reported, whatever was found in it
If the reader of standard output closes it early, as head does, or if a pager
fails, report and diff end with the same status.`

func newRoot(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "goroutines",
		Short: "Show what every goroutine of a Go process is doing",
		Long: `Goroutines shows what every goroutine of a Go process is doing. It reads pprof
profiles, goroutine dumps, execution traces, logs with a panic in them, and
running processes that serve net/http/pprof. It detects formats by content.

It asks a process for a trace of a few milliseconds, which has goroutine IDs and
does not stop the process, and if that fails for a goroutine profile. It takes a
debug=2 dump, which stops the process, only with --endpoint dump.

Label values and lock addresses are hidden unless --values is given.

On a terminal, texts have colours and are wrapped at its width, and a pager
shows those that are long. Elsewhere they are plain. No pager is used with
--no-pager or if none is installed.

` + exitStatuses,
		Example:       rootExamples,
		Version:       version(debug.ReadBuildInfo()),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.InitDefaultVersionFlag()
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newReport(), newDiff(), newWatch(), newCheck(), newDetectors(), newMan())
	for _, c := range root.Commands() {
		complete(c)
	}
	return root
}

// inputFlags are the flags that control the reading of inputs.
type inputFlags struct {
	http     source.HTTP
	headers  []string
	endpoint string
	labels   []string
	values   bool
	known    string // file
	max      bytesValue
	cluster  source.Kubernetes

	excluded []detectors.KnownStack // what the file has; see reader
}

// bytesValue is a flag value in bytes, with or without a unit.
type bytesValue int64

type unit struct {
	name  string
	bytes int64
}

// units are the units of a bytesValue, largest first.
var units = []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

func (b *bytesValue) Type() string { return "size" }

func (b *bytesValue) String() string {
	i := slices.IndexFunc(units, func(u unit) bool { return int64(*b)%u.bytes == 0 })
	return strconv.FormatInt(int64(*b)/units[i].bytes, 10) + units[i].name
}

func (b *bytesValue) Set(s string) error {
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n <= 0 || n > (1<<40)/u.bytes {
			break
		}
		*b = bytesValue(n * u.bytes)
		return nil
	}
	return errors.New("must be a positive number of bytes, or of KiB, MiB or GiB, of at most 1024GiB")
}

// endpoints are the values of --endpoint.
var endpoints = []string{string(source.Auto), string(source.Trace), string(source.Profile), string(source.Dump)}

func (f *inputFlags) add(flags *pflag.FlagSet) {
	f.max = 512 << 20
	flags.StringVar(&f.endpoint, "endpoint", "auto", "what to ask a process for: auto, trace, profile, or dump, which stops it")
	flags.StringSliceVar(&f.labels, "labels", nil, "pprof labels to tell goroutines apart by (default all)")
	flags.StringVar(&f.known, "known-stacks", "", "file with stacks that wait by design, which are not judged (see docs/known-stacks.md)")
	flags.BoolVar(&f.values, "values", false, "show label values and lock addresses")
	flags.Var(&f.max, "max-size", "largest input, both before and after decompression")
	flags.DurationVar(&f.http.Timeout, "timeout", 30*time.Second, "time limit of one request, including the response")
	flags.StringVar(&f.http.User, "user", "", "name:password for HTTP basic authentication (safer in the environment variable "+userVariable+")")
	flags.StringArrayVar(&f.headers, "header", nil, "\"Name: value\" to send with each request, or @FILE with one per line")
	flags.StringVar(&f.http.CA, "ca", "", "file with the CA certificates to trust")
	flags.StringVar(&f.http.Cert, "cert", "", "file with the client certificate")
	flags.StringVar(&f.http.Key, "key", "", "file with the key of the client certificate")
	flags.StringVar(&f.http.ServerName, "server-name", "", "name to expect in the server certificate (default the host)")
	flags.StringVar(&f.cluster.Context, "context", "", "context of kubectl for pod/NAME:PORT (default the current one)")
	flags.StringVarP(&f.cluster.Namespace, "namespace", "n", "", "namespace for pod/NAME:PORT (default that of the context)")
	flags.BoolVar(&f.http.Insecure, "insecure", false, "do not verify the server certificate")
}

// exclusions returns the stacks that wait by design, beyond those that are known.
func (f *inputFlags) exclusions(ctx context.Context) ([]detectors.KnownStack, error) {
	if f.known == "" {
		return nil, nil
	}
	file, err := source.Open(ctx, f.known)
	if err != nil {
		return nil, fmt.Errorf("--known-stacks: %w", err)
	}
	defer file.Close()
	known, err := detectors.ReadExclusions(file)
	if err != nil {
		return nil, fmt.Errorf("--known-stacks %s: %w", f.known, err)
	}
	return known, nil
}

// reader returns a reader configured by the flags. It also reads the exclusions.
func (f *inputFlags) reader(ctx context.Context, stdin io.Reader) (*source.Reader, error) {
	endpoint := source.Endpoint(f.endpoint)
	if err := checkValue("--endpoint", f.endpoint, endpoints); err != nil {
		return nil, err
	}
	if f.http.Timeout <= 0 {
		return nil, fmt.Errorf("--timeout %v is too short; it must be greater than 0", f.http.Timeout)
	}
	if f.http.User == "" {
		f.http.User = os.Getenv(userVariable)
	}
	if f.http.User != "" && !strings.Contains(f.http.User, ":") {
		return nil, errors.New("--user has no colon; it must be name:password")
	}
	var err error
	if f.excluded, err = f.exclusions(ctx); err != nil {
		return nil, err
	}
	if f.http.Header, err = headersOf(ctx, f.headers); err != nil {
		return nil, err
	}
	return &source.Reader{
		HTTP: f.http, Kubernetes: f.cluster, Endpoint: endpoint, Max: int64(f.max), Stdin: stdin,
		Labels: parse.Labels{Keys: f.labels, All: len(f.labels) == 0, Hide: !f.values},
	}, nil
}

func headersOf(ctx context.Context, given []string) (http.Header, error) {
	header := make(http.Header)
	for _, h := range given {
		lines := []string{h}
		if file, ok := strings.CutPrefix(h, "@"); ok {
			data, err := source.ReadFile(ctx, file)
			if err != nil {
				return nil, fmt.Errorf("--header: %w", err)
			}
			lines = strings.Split(strings.TrimSpace(string(data)), "\n")
		}
		for i, line := range lines {
			name, value, ok := strings.Cut(line, ":")
			if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
				return nil, fmt.Errorf("--header: entry %d is no header; it must be \"Name: value\"", i+1) // the value may be a secret
			}
			header.Add(name, strings.TrimSpace(value))
		}
	}
	return header, nil
}

// failOn is the value of --fail-on.
type failOn struct {
	confidence detectors.Confidence // 0: none
	health     bool
}

func parseFailOn(s string) (f failOn, err error) {
	for word := range strings.SplitSeq(s, ",") {
		switch word = strings.TrimSpace(word); word {
		case "":
		case "health":
			f.health = true
		case "any":
			f.confidence = detectors.Info
		default:
			i := slices.IndexFunc(detectors.Confidences(), func(c detectors.Confidence) bool { return c.String() == word })
			if i < 0 {
				meant := didYouMean(word, failOnWords())
				return f, fmt.Errorf("--fail-on %q is unknown%s%s it must be any, health, or a confidence (%s)", word, meant, separator(meant), confidenceWords())
			}
			f.confidence = detectors.Confidences()[i]
		}
	}
	return f, nil
}

func confidenceWords() string { return strings.Join(failOnWords()[2:], ", ") }

// failOnWords are the words of --fail-on.
func failOnWords() []string {
	words := []string{"any", "health"}
	for _, c := range detectors.Confidences() {
		words = append(words, c.String())
	}
	return words
}
