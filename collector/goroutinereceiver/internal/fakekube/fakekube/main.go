// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Command fakekube serves the API of Kubernetes for a test that runs in another
// process, as package fakekube describes it, until its standard input ends.
//
//	fakekube DIR
//
// It writes into DIR what clients need: kubeconfig, and url, ca.crt and token for
// those without one. control has the URL of the handler that changes the server; it
// is written last, so that all is ready once it is there.
package main

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/fakekube"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: fakekube DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "fakekube:", err)
		os.Exit(1)
	}
}

func run(dir string, until io.Reader) error {
	server := fakekube.New()
	kube := httptest.NewTLSServer(server)
	defer kube.Close()
	control := httptest.NewServer(server.Control())
	defer control.Close()
	defer server.Close() // before kube.Close, which waits for watches

	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: kube.Certificate().Raw})
	if err := clientcmd.WriteToFile(kubeconfig(kube.URL, ca), filepath.Join(dir, "kubeconfig")); err != nil {
		return err
	}
	for _, f := range []struct{ name, text string }{
		{"url", kube.URL},
		{"ca.crt", string(ca)},
		{"token", fakekube.Token},
		{"control", control.URL},
	} {
		if err := write(filepath.Join(dir, f.name), f.text); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, until)
	return err
}

// write makes a file that is never seen half written.
func write(path, text string) error {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func kubeconfig(url string, ca []byte) api.Config {
	c := api.NewConfig()
	c.Clusters["fake"] = &api.Cluster{Server: url, CertificateAuthorityData: ca}
	c.AuthInfos["collector"] = &api.AuthInfo{Token: fakekube.Token}
	c.Contexts["fake"] = &api.Context{Cluster: "fake", AuthInfo: "collector"}
	c.CurrentContext = "fake"
	return *c
}
