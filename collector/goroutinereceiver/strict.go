// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/confmap"
)

var _ confmap.Unmarshaler = (*Config)(nil)

// Unmarshal reads the configuration, and refuses keys that are unknown. The Collector
// does not refuse them by itself where a confighttp.ClientConfig is squashed: that
// reads itself and ignores the keys of its neighbours, and with them all others.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	type plainClient confighttp.ClientConfig // without its method
	client, own := reflect.TypeFor[plainClient](), ownFields()
	known := append(keysOf(own), keysOf(client)...)
	var unknown []string
	for _, key := range slices.Sorted(maps.Keys(conf.ToStringMap())) {
		if !slices.Contains(known, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		return fmt.Errorf("invalid keys: %s", strings.Join(unknown, ", "))
	}
	type plain Config // without this method
	if err := conf.Unmarshal((*plain)(c)); err != nil {
		return err
	}
	return errors.Join(strictly(conf, client, own), strictly(conf, own, client))
}

// ownFields returns a struct with the fields of Config, except ClientConfig.
func ownFields() reflect.Type {
	var fields []reflect.StructField
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if f.IsExported() && f.Type != reflect.TypeFor[confighttp.ClientConfig]() {
			fields = append(fields, f)
		}
	}
	return reflect.StructOf(fields)
}

// keysOf returns the keys of a struct.
func keysOf(of reflect.Type) (keys []string) {
	for i := range of.NumField() {
		if key, _, _ := strings.Cut(of.Field(i).Tag.Get(confmap.MapstructureTag), ","); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// strictly reads what other does not have into a new value, for its error.
func strictly(conf *confmap.Conf, into, other reflect.Type) error {
	rest := confmap.New()
	if err := rest.Merge(conf); err != nil {
		return err
	}
	for _, key := range keysOf(other) {
		rest.Delete(key)
	}
	return rest.Unmarshal(reflect.New(into).Interface())
}
