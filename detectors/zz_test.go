package detectors_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestZZReal(t *testing.T) {
	forever := make(chan int)
	mux := http.NewServeMux()
	mux.HandleFunc("/sse", func(w http.ResponseWriter, r *http.Request) { zzWait(forever, r.Context().Done()) })
	mux.HandleFunc("/orphan", func(w http.ResponseWriter, r *http.Request) { zzOrphan(forever) })
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		c, rw, _ := w.(http.Hijacker).Hijack()
		_ = rw
		go zzRead(c)
		zzHijacked(forever)
	})
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	go http.Serve(l, mux)
	tl, _ := net.Listen("tcp", "127.0.0.1:0")
	go func() {
		for {
			c, err := tl.Accept()
			if err != nil { return }
			go zzServe(c, forever)
		}
	}()
	var took time.Duration
	d := &detectors.Detector{Name: "zz", Needs: detectors.Needs{IDs: true, History: time.Hour}, Run: func(p *detectors.Pass) error {
		if p.Snapshot.Time.Unix()%8 != 0 { return nil }; fmt.Fprintln(os.Stderr, len(p.History), len(p.Snapshot.Groups))
		for i := range p.Snapshot.Groups {
			g := &p.Snapshot.Groups[i]
			if g.Count < 5 || !strings.Contains(g.Stack.Text(2000), "zz") { continue }
			b := time.Now()
			what, why := detectors.Peers(p, g.Stack.ID, g.State, g.Count, 5*time.Second)
			took = time.Since(b)
			n, a, o, k := detectors.PeersAt(p.History, p.Snapshot, g.Stack.ID, g.State)
			fmt.Fprintln(os.Stderr, len(p.History), g.Stack.User().Function, g.State, n, a, o, k, what, why, took)
		}
		return nil
	}}
	reader := sdkmetric.NewManualReader()
	mp := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	go func() { for { time.Sleep(time.Second); var rm metricdata.ResourceMetrics; reader.Collect(context.Background(), &rm) } }()
	m, err := otelgoroutine.Start(mp, otelgoroutine.WithInterval(time.Second), otelgoroutine.WithDetectors(d))
	if err != nil { t.Fatal(err) }
	defer m.Shutdown(context.Background())
	end := time.Now().Add(30 * time.Second)
	for time.Now().Before(end) {
		time.Sleep(time.Duration(rand.ExpFloat64() * float64(30*time.Millisecond)))
		which := strings.Split(os.Getenv("ZZ"),",")[rand.IntN(len(strings.Split(os.Getenv("ZZ"),",")))]
		to := l.Addr().String()
		if strings.HasPrefix(which, "tcp") { to = tl.Addr().String() }
		c, err := net.Dial("tcp", to)
		if err != nil { t.Fatal(err) }
		if strings.HasPrefix(which, "/") { fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", which) } else { c.Write([]byte{which[len(which)-1]}) }
		if which == "/orphan" || which == "tcpgone" { time.AfterFunc(2*time.Second, func() { c.Close() }) } else { zzKeep = append(zzKeep, c) }
	}
	fmt.Printf("%+v\n", m.Status())
}
var zzKeep []net.Conn
//go:noinline
func zzWait(a chan int, b <-chan struct{}) { select { case <-a: case <-b: } }
//go:noinline
func zzOrphan(a chan int) { <-a }
//go:noinline
func zzHijacked(a chan int) { <-a }
func zzRead(c net.Conn) { b := make([]byte, 10); c.Read(b) }
func zzServe(c net.Conn, a chan int) {
	b := make([]byte, 10)
	c.Read(b)
	if b[0] == 'p' { go zzWriteStay(a) } else { go zzWriteGone(a) }
	c.Read(b)
	c.Close()
}
func zzWriteStay(a chan int) { <-a }
func zzWriteGone(a chan int) { <-a }
