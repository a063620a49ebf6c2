// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// These variables turn this binary into kubectl, and say what it does.
const (
	beKubectl     = "GOROUTINES_TEST_KUBECTL"        // a directory for what it was told
	kubectlTarget = "GOROUTINES_TEST_KUBECTL_TARGET" // the address that it forwards to, or what else it does
)

// fakeKubectl does what "kubectl port-forward" does. It never returns.
func fakeKubectl(dir string) {
	told, err := os.OpenFile(filepath.Join(dir, "told"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		os.Exit(3)
	}
	fmt.Fprintln(told, os.Getpid(), strings.Join(os.Args[1:], " "))
	told.Close()
	target := os.Getenv(kubectlTarget)
	switch target {
	case "not found":
		fmt.Fprintln(os.Stderr, "a warning\nError from server (NotFound): pods \"shop\" not found")
		os.Exit(1)
	case "silent":
		select {}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(3)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	fmt.Printf("a word of a plugin\nForwarding from 127.0.0.1:%s -> 6060\n", port)
	for {
		c, err := l.Accept()
		if err != nil {
			os.Exit(3)
		}
		fmt.Println("Handling connection for", port)
		go forwardTo(c, target)
	}
}

func forwardTo(c net.Conn, target string) {
	defer c.Close()
	to, err := net.Dial("tcp", strings.TrimPrefix(target, "once "))
	if err != nil {
		fmt.Fprintln(os.Stderr, "E1127 portforward.go:424] an error occurred forwarding: connect: connection refused")
		return
	}
	defer to.Close()
	go io.Copy(to, c)
	io.Copy(c, to)
	if strings.HasPrefix(target, "once ") {
		os.Exit(1)
	}
}
