package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Numbers reads the value of a flag: numbers from least to most, separated by
// commas; k stands for 1000. The error names the flag and what is allowed.
func Numbers(flag, list string, least, most int) ([]int, error) {
	var numbers []int
	for _, field := range strings.Split(list, ",") {
		digits, thousands := strings.CutSuffix(field, "k")
		n, err := strconv.Atoi(digits)
		if thousands && n <= most {
			n *= 1000
		}
		if err != nil || n < least || n > most {
			return nil, fmt.Errorf("-%s: %q: allowed are numbers from %d to %d; k stands for 1000", flag, field, least, most)
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// Names reads the value of a flag: "all", or some of the known names, separated
// by commas.
func Names(flag, list string, known []string) ([]string, error) {
	if list == "all" {
		return known, nil
	}
	names := strings.Split(list, ",")
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-%s: %q: allowed are all, or some of %s", flag, name, strings.Join(known, ", "))
		}
	}
	return names, nil
}

// SaveJSON does what the flag -json says: it writes a report to a file.
func SaveJSON(path string, report any) error {
	data, err := json.MarshalIndent(report, "", "\t")
	if err == nil {
		err = os.WriteFile(path, append(data, '\n'), 0o666)
	}
	if err != nil {
		return fmt.Errorf("-json: %w", err)
	}
	return nil
}
