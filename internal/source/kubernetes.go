// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Kubernetes says which cluster and namespace kubectl is to use. What is empty is
// as kubectl is configured.
type Kubernetes struct {
	Context   string
	Namespace string // of resources whose address has none
}

// A resource is a pod, or what has pods, and a port.
type resource struct {
	namespace string // empty: see [Kubernetes]
	kind      string // as kubectl writes it
	name      string
	port      string // a number or a name
	page      string // path and query
}

func (r *resource) String() string {
	text := r.kind + "/" + r.name + ":" + r.port
	if r.namespace != "" {
		text = r.namespace + "/" + text
	}
	return text
}

// url returns the address of the page behind a forwarded port.
func (r *resource) url() string {
	if isPort(r.port) {
		return "http://localhost:" + r.port + r.page
	}
	return "http://localhost" + r.page
}

// kinds are the kinds of resources whose ports kubectl can forward, by the names
// that it accepts for them.
var kinds = map[string]string{
	"pod": "pod", "pods": "pod", "po": "pod",
	"service": "service", "services": "service", "svc": "service",
	"deployment": "deployment", "deployments": "deployment", "deploy": "deployment",
	"statefulset": "statefulset", "statefulsets": "statefulset", "sts": "statefulset",
	"replicaset": "replicaset", "replicasets": "replicaset", "rs": "replicaset",
	"job": "job", "jobs": "job",
}

// resourceSyntax is KIND/NAME:PORT, NAMESPACE/NAME:PORT or NAMESPACE/KIND/NAME:PORT,
// and the page.
var resourceSyntax = regexp.MustCompile(`^(?:([a-z0-9][-a-z0-9]{0,62})/)?([a-z0-9][-a-z0-9]{0,62})/([a-z0-9][-.a-z0-9]{0,252}):([a-z0-9][-a-z0-9]{0,14})([/?].*)?$`)

// parseResource reads the address of a Kubernetes resource.
func parseResource(name string) (r resource, ok bool) {
	m := resourceSyntax.FindStringSubmatch(name)
	if m == nil {
		return r, false
	}
	r = resource{namespace: m[1], kind: kinds[m[2]], name: m[3], port: m[4], page: m[5]}
	if r.kind == "" {
		if r.namespace != "" {
			return r, false
		}
		r.namespace, r.kind = m[2], "pod"
	}
	return r, !isNumber(r.port) || isPort(r.port)
}

// A forward makes connections to a port of a resource. It runs "kubectl
// port-forward", which also reaches a port that listens on the loopback address of
// a pod only.
type forward struct {
	resource resource
	cluster  Kubernetes

	mu      sync.Mutex
	running *forwarding
}

// A forwarding is one run of kubectl.
type forwarding struct {
	command *exec.Cmd
	local   string        // the address that it listens at
	ended   chan struct{} // closed when it has ended
	said    *tail
}

// dial returns a connection to the port, once start has returned.
func (f *forward) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	f.mu.Lock()
	running := f.running
	f.mu.Unlock()
	if running == nil {
		return nil, net.ErrClosed
	}
	return new(net.Dialer).DialContext(ctx, "tcp", running.local)
}

// start starts kubectl unless it runs, and waits until it listens. It then
// outlives ctx.
func (f *forward) start(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.running; r != nil {
		select {
		case <-r.ended:
		default:
			return nil
		}
	}
	r, found, err := f.launch()
	if err != nil {
		return err
	}
	select {
	case local, ok := <-found:
		if ok {
			r.local, f.running = local, r
			return nil
		}
		r.end()
		return fmt.Errorf("%s: %s", commandLine(r.command), cmp.Or(r.said.last(), "it ended without a message"))
	case <-ctx.Done():
		r.end()
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return ctx.Err()
		}
		return &slowForward{strings.TrimSuffix(commandLine(r.command)+" has not answered: "+r.said.last(), ": ")}
	}
}

// A slowForward is the error of a kubectl that has not listened in time.
type slowForward struct{ text string }

func (e *slowForward) Error() string { return e.text }

// errNoKubectl says what to do without kubectl.
var errNoKubectl = errors.New("kubectl is not installed, which connects to pods; install it, or forward the port in another way and give localhost:PORT")

// launch starts kubectl. The channel gets the address that it listens at, and is
// closed when it ends without one.
func (f *forward) launch() (*forwarding, <-chan string, error) {
	program, err := exec.LookPath("kubectl")
	if err != nil {
		return nil, nil, errNoKubectl
	}
	r := &forwarding{command: exec.Command(program, f.args()...), ended: make(chan struct{}), said: &tail{}}
	output, input := io.Pipe()
	r.command.Stdout, r.command.Stderr = input, r.said
	r.command.WaitDelay = time.Second / 10 // a child of kubectl may hold its output open
	if err := r.command.Start(); err != nil {
		return nil, nil, fmt.Errorf("kubectl: %w", err)
	}
	go func() {
		r.command.Wait() // what it said is the error
		close(r.ended)
		input.Close()
	}()
	found := make(chan string, 1)
	go func() {
		defer close(found)
		read := bufio.NewReader(output)
		for {
			line, err := read.ReadString('\n')
			if m := forwardingLine.FindStringSubmatch(line); m != nil {
				found <- m[1]
				break
			}
			if err != nil {
				return
			}
			r.said.Write([]byte(line))
		}
		io.Copy(io.Discard, read) // "Handling connection for"
	}()
	return r, found, nil
}

func (f *forward) args() []string {
	var args []string
	if f.cluster.Context != "" {
		args = append(args, "--context="+f.cluster.Context)
	}
	if namespace := cmp.Or(f.resource.namespace, f.cluster.Namespace); namespace != "" {
		args = append(args, "--namespace="+namespace)
	}
	return append(args, "port-forward", "--address=127.0.0.1", f.resource.kind+"/"+f.resource.name, ":"+f.resource.port)
}

func commandLine(c *exec.Cmd) string { return "kubectl " + strings.Join(c.Args[1:], " ") }

// forwardingLine is what kubectl writes once it listens.
var forwardingLine = regexp.MustCompile(`^Forwarding from (127\.0\.0\.1:\d+) -> `)

// end kills kubectl and waits until it has ended.
func (r *forwarding) end() {
	r.command.Process.Kill() // an error says that it has ended
	<-r.ended
}

func (f *forward) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running != nil {
		f.running.end()
		f.running = nil
	}
}

// complaint returns the last line of what kubectl has written as an error since
// the last call.
func (f *forward) complaint() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running == nil {
		return ""
	}
	return f.running.said.take()
}

// A tail keeps the last bytes that are written to it. It is safe for concurrent
// use.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[max(0, len(p)-maxTail):]...)
	t.text = t.text[max(0, len(t.text)-maxTail):]
	return len(p), nil
}

// last returns the last line.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := bytes.TrimSpace(t.text)
	return printable(text[bytes.LastIndexByte(text, '\n')+1:])
}

// take returns the last line, and forgets all of them.
func (t *tail) take() string {
	line := t.last()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = nil
	return line
}
