// Save saves a page into a file.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
)

func main() {
	response, err := http.Get(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	data, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(os.Args[2], data, 0o666); err != nil {
		log.Fatal(err)
	}
}
