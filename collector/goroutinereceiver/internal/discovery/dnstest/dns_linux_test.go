// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package dnstest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"golang.org/x/sys/unix"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/discovery"
	"github.com/otelgoroutine/go/internal/realprograms"
)

// inside is set in the process that runs in the namespaces, to the file that takes
// the place of /etc/resolv.conf.
const inside = "DNSTEST_INSIDE"

func TestMain(m *testing.M) {
	if !realprograms.Wanted() {
		os.Exit(realprograms.Skip(m, "Linux namespaces"))
	}
	if file := os.Getenv(inside); file != "" {
		if err := settle(file); err != nil {
			fmt.Println("cannot set up the namespaces:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// settle makes the namespaces ready: a loopback interface and resolv.conf.
func settle(file string) error {
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("loopback: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	return unix.Mount(file, "/etc/resolv.conf", "", unix.MS_BIND, "")
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

func TestDNS(t *testing.T) {
	if os.Getenv(inside) != "" {
		testInside(t)
		return
	}
	file := filepath.Join(t.TempDir(), "resolv.conf")
	require.NoError(t, os.WriteFile(file, []byte("nameserver 127.0.0.1\n"), 0o600))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestDNS$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+file)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "--- PASS: TestDNS")
}

// A zone answers with records that change.
type zone struct {
	mu      sync.Mutex
	records []string
}

func (z *zone) set(records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records = records
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	answer := new(dns.Msg)
	answer.SetReply(q)
	for _, text := range z.records {
		record, err := dns.NewRR(text)
		if err != nil {
			panic(err) // a mistake in the test
		}
		if h := record.Header(); h.Rrtype == q.Question[0].Qtype && h.Name == q.Question[0].Name {
			answer.Answer = append(answer.Answer, record)
		}
	}
	_ = w.WriteMsg(answer)
}

func testInside(t *testing.T) {
	z := new(zone)
	z.set("_pprof._tcp.shop.test. SRV 0 0 6060 a.shop.test.", "bank.test. A 10.0.0.2", "bank.test. AAAA 2001:db8::1")
	listener, err := net.ListenPacket("udp", "127.0.0.1:53")
	require.NoError(t, err)
	server := &dns.Server{PacketConn: listener, Handler: z}
	go func() { _ = server.ActivateAndServe() }()
	defer func() { assert.NoError(t, server.Shutdown()) }()

	m, err := discovery.New(jobs(t, `
- job_name: dns
  dns_sd_configs:
    - {names: [_pprof._tcp.shop.test], refresh_interval: 20ms}
    - {names: [bank.test], type: A, port: 6061, refresh_interval: 20ms}
    - {names: [bank.test], type: AAAA, port: 6061, refresh_interval: 20ms}
  relabel_configs:
    - {source_labels: [__meta_dns_name], target_label: name}
`), discovery.Options{MaxTargets: 10})
	require.NoError(t, err)
	updates := make(chan discovery.Update)
	go func() { _ = m.Run(t.Context(), func(u discovery.Update) { updates <- u }) }()

	u := await(updates, 3)
	assert.Equal(t, "http://10.0.0.2:6061/debug/pprof/", u.Targets[0].URL)
	assert.Equal(t, "http://[2001:db8::1]:6061/debug/pprof/", u.Targets[1].URL)
	assert.Equal(t, "http://a.shop.test:6060/debug/pprof/", u.Targets[2].URL)
	assert.Equal(t, "_pprof._tcp.shop.test", u.Targets[2].Labels["name"])
	z.set("_pprof._tcp.shop.test. SRV 0 0 6060 b.shop.test.")
	assert.Equal(t, "http://b.shop.test:6060/debug/pprof/", await(updates, 1).Targets[0].URL)
}

func await(updates <-chan discovery.Update, targets int) discovery.Update {
	for u := range updates {
		if len(u.Targets) == targets {
			return u
		}
	}
	return discovery.Update{}
}

func jobs(t *testing.T, yaml string) discovery.Configs {
	t.Helper()
	r, err := confmap.NewRetrievedFromYAML([]byte("discovery:" + yaml))
	require.NoError(t, err)
	conf, err := r.AsConf()
	require.NoError(t, err)
	var c struct {
		Discovery discovery.Configs `mapstructure:"discovery"`
	}
	require.NoError(t, conf.Unmarshal(&c))
	return c.Discovery
}
