package goroutinereceiver

import (
	"errors"
	"reflect"
	"strings"

	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/confmap"
)

var _ confmap.Unmarshaler = (*Config)(nil)

// Unmarshal reads the configuration, and refuses keys that are unknown. The Collector
// does not refuse them by itself where a confighttp.ClientConfig is squashed: that
// reads itself and ignores the keys of its neighbours, and with them all others.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	type plain Config // without this method
	if err := conf.Unmarshal((*plain)(c)); err != nil {
		return err
	}
	type plainClient confighttp.ClientConfig // without its method
	own := ownFields()
	return errors.Join(
		strictly(conf, reflect.TypeFor[plainClient](), own),
		strictly(conf, own, reflect.TypeFor[plainClient]()))
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

// strictly reads what other does not have into a new value, for its error.
func strictly(conf *confmap.Conf, into, other reflect.Type) error {
	rest := confmap.New()
	if err := rest.Merge(conf); err != nil {
		return err
	}
	for i := range other.NumField() {
		key, _, _ := strings.Cut(other.Field(i).Tag.Get(confmap.MapstructureTag), ",")
		if key != "" {
			rest.Delete(key)
		}
	}
	return rest.Unmarshal(reflect.New(into).Interface())
}
