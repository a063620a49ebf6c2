package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/source"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/parse"
)

// errFindings is what a command returns when --fail-on is met.
var errFindings = errors.New("findings")

// userVariable holds name:password, so that it need not stand in a command line.
const userVariable = "GOROUTINES_USER"

const rootExamples = `  goroutines report http://host:6060                  # a process with net/http/pprof
  goroutines report dump.txt                          # a debug=2 dump, a profile, a trace, a log with a panic
  kubectl logs pod | goroutines report -              # the panic in a log
  goroutines report --samples 5 --every 30s :6060     # with a trend
  goroutines report --format html -o report.html a.pb.gz b.pb.gz
  goroutines report --bundle incident/ http://host:6060
  goroutines diff before.txt after.txt                # what grew, what appeared, what went
  goroutines watch http://a:6060 http://b:6060        # live
  goroutines watch --otlp localhost:4317 http://host:6060
  goroutines completion bash                          # shell completion`

func newRoot(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "goroutines",
		Short: "Shows what every goroutine of a Go process is doing",
		Long: `Goroutines shows what every goroutine of a Go process is doing: from a pprof
profile, a goroutine dump, an execution trace, a log with a panic in it, or a
running process that serves net/http/pprof. Formats are told by their content.

A process is asked for a trace of a few milliseconds, which has goroutine IDs
and does not stop it, or else for its goroutine profile. A debug=2 dump, which
stops it, is taken with --endpoint dump only.

Label values and addresses are not shown unless asked for (--values).

Exit status: 0; 1 when --fail-on is met; 2 when the usage or an input is bad,
even if part of the input could be reported.`,
		Example:       rootExamples,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(newReport(), newDiff(), newWatch(), newCheck())
	return root
}

// inputFlags are those of reading.
type inputFlags struct {
	http     source.HTTP
	headers  []string
	endpoint string
	labels   []string
	values   bool
	max      bytesValue
}

// bytesValue is a number of bytes, with a unit or without.
type bytesValue int64

func (b *bytesValue) String() string { return strconv.FormatInt(int64(*b)>>20, 10) + "MiB" }
func (b *bytesValue) Type() string   { return "size" }
func (b *bytesValue) Set(s string) error {
	number, unit := s, int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = rest, u
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > (1<<40)/unit {
		return errors.New("allowed is a number of bytes, or of KiB, MiB or GiB, up to 1024GiB")
	}
	*b = bytesValue(n * unit)
	return nil
}

func (f *inputFlags) add(flags *pflag.FlagSet) {
	f.max = 512 << 20
	flags.StringVar(&f.endpoint, "endpoint", "auto", "what a process is asked for: auto, trace, profile, or dump, which stops it")
	flags.StringSliceVar(&f.labels, "labels", nil, "tell goroutines apart by these pprof labels only; all unless given")
	flags.BoolVar(&f.values, "values", false, "show the values of labels and the addresses of locks")
	flags.Var(&f.max, "max-size", "most bytes of one input, decompressed as well")
	flags.DurationVar(&f.http.Timeout, "timeout", 30*time.Second, "for one request, the answer included")
	flags.StringVar(&f.http.User, "user", "", "name:password for HTTP basic authentication; better in the environment: "+userVariable)
	flags.StringArrayVar(&f.headers, "header", nil, "\"Name: value\" to send with each request, or @FILE with one a line")
	flags.StringVar(&f.http.CA, "ca", "", "file with the certificates to trust")
	flags.StringVar(&f.http.Cert, "cert", "", "file with the client's certificate")
	flags.StringVar(&f.http.Key, "key", "", "file with the client's key")
	flags.StringVar(&f.http.ServerName, "server-name", "", "name to expect in the server's certificate")
	flags.BoolVar(&f.http.Insecure, "insecure", false, "do not verify certificates")
}

// reader returns the reader that the flags describe.
func (f *inputFlags) reader(stdin io.Reader) (*source.Reader, error) {
	endpoint := source.Endpoint(f.endpoint)
	if !slices.Contains([]source.Endpoint{source.Auto, source.Trace, source.Profile, source.Dump}, endpoint) {
		return nil, fmt.Errorf("--endpoint %q: allowed are auto, trace, profile and dump", f.endpoint)
	}
	if f.http.Timeout <= 0 {
		return nil, fmt.Errorf("--timeout %v: allowed is over 0", f.http.Timeout)
	}
	if f.http.User == "" {
		f.http.User = os.Getenv(userVariable)
	}
	if f.http.User != "" && !strings.Contains(f.http.User, ":") {
		return nil, errors.New("--user: name:password is needed")
	}
	var err error
	if f.http.Header, err = headersOf(f.headers); err != nil {
		return nil, err
	}
	return &source.Reader{
		HTTP: f.http, Endpoint: endpoint, Max: int64(f.max), Stdin: stdin,
		Labels: parse.Labels{Keys: f.labels, All: len(f.labels) == 0, Hide: !f.values},
	}, nil
}

func headersOf(given []string) (http.Header, error) {
	header := make(http.Header)
	for _, h := range given {
		lines := []string{h}
		if file, ok := strings.CutPrefix(h, "@"); ok {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, fmt.Errorf("--header: %w", err)
			}
			lines = strings.Split(strings.TrimSpace(string(data)), "\n")
		}
		for i, line := range lines {
			name, value, ok := strings.Cut(line, ":")
			if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t") {
				return nil, fmt.Errorf("--header: entry %d is not \"Name: value\"", i+1) // without the value: it may be a secret
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
				return f, fmt.Errorf("--fail-on %q: allowed are any, a confidence (%s), and health", word, confidenceWords())
			}
			f.confidence = detectors.Confidences()[i]
		}
	}
	return f, nil
}

func confidenceWords() string {
	var words []string
	for _, c := range detectors.Confidences() {
		words = append(words, c.String())
	}
	return strings.Join(words, ", ")
}
