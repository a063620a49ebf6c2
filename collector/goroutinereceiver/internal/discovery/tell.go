// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"go.uber.org/zap"
)

// maxAtOnce is how many invalid targets one update names in the log.
const maxAtOnce = 10

// told is what the log has been told about targets that are left out. Each is told
// once, and again after it was gone.
type told struct {
	targets   map[string]bool
	anyBeyond bool
}

func (t *told) invalid(log *zap.Logger, jobs []found) {
	now := make(map[string]bool)
	more := 0
	for _, f := range jobs {
		for _, i := range f.invalid {
			message := i.Error()
			fresh := !t.targets[message] && !now[message]
			switch {
			case len(now) >= maxSaid:
				continue
			case fresh && len(now) < maxAtOnce:
				log.Warn("A discovered target cannot be read and is left out.", zap.Error(i))
			case fresh:
				more++
			}
			now[message] = true
		}
	}
	if more > 0 {
		log.Warn("More discovered targets cannot be read and are left out.", zap.Int("targets", more))
	}
	t.targets = now
}

func (t *told) beyond(log *zap.Logger, beyond, most int) {
	switch {
	case beyond > 0 && !t.anyBeyond:
		log.Warn("More targets were discovered than max_targets; those beyond are left out. "+
			"Raise max_targets, drop targets with relabel_configs, or divide them among several Collectors with the action hashmod.",
			zap.Int("left_out", beyond), zap.Int("max_targets", most))
	case beyond == 0 && t.anyBeyond:
		log.Info("All discovered targets are within max_targets again.")
	}
	t.anyBeyond = beyond > 0
}
