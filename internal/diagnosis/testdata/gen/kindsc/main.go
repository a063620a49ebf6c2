// Kindsc writes crashes of C code that Go called, as kinds does: run "kindsc >> kinds.txt".
package main

/*
#include <signal.h>
#include <stdlib.h>
static void store(volatile int *p) { *p = 1; }
static void trap(void) { __builtin_trap(); }
static int divide(int a, int b) { return a / b; }
*/
import "C"

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
)

var faults = map[string]func(){
	"c-segv":  func() { C.store(nil) },
	"c-abort": func() { C.abort() },
	"c-ill":   func() { C.trap() },
	"c-fpe":   func() { fmt.Println(C.divide(1, C.int(len(os.Args)-1))) },
}

func main() {
	if f := faults[os.Getenv("FAULT")]; f != nil {
		f()
		return
	}
	for _, name := range []string{"c-segv", "c-abort", "c-ill", "c-fpe"} {
		c := exec.Command("/proc/self/exe")
		c.Env = append(os.Environ(), "FAULT="+name, "GOTRACEBACK=all")
		out, _ := c.CombinedOutput() // which fails, as it should
		fmt.Printf("-- %s --\n%s\n", name, strings.TrimSpace(string(out)))
	}
}
