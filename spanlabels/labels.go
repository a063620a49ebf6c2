package spanlabels

import (
	"context"
	"encoding/hex"
	"reflect"
	"runtime/pprof"
	"unsafe"

	"go.opentelemetry.io/otel/trace"
)

// The keys of the labels, in the order that runtime/pprof keeps them in.
const (
	spanKey  = "span_id"
	traceKey = "trace_id"
)

const (
	traceDigits = 2 * len(trace.TraceID{})
	spanDigits  = 2 * len(trace.SpanID{})
)

// A label and a set are label.Label and labelMap of runtime/pprof, whose layout
// [learn] compares with these.
type label struct{ key, value string }

type set struct{ list []label }

// A block holds everything that a goroutine's labels refer to, and nothing else, in one
// piece of memory: a goroutine that outlives its span keeps neither the span nor its
// context. set comes first: a pointer to the block is one to the set.
type block struct {
	set
	labels [2]label
	digits [traceDigits + spanDigits]byte
}

func newBlock(sc trace.SpanContext) *block {
	b := new(block)
	traceID, spanID := sc.TraceID(), sc.SpanID()
	hex.Encode(b.digits[:traceDigits], traceID[:])
	hex.Encode(b.digits[traceDigits:], spanID[:])
	b.labels[0] = label{spanKey, unsafe.String(&b.digits[traceDigits], spanDigits)} // never written again
	b.labels[1] = label{traceKey, unsafe.String(&b.digits[0], traceDigits)}
	b.list = b.labels[:]
	return b
}

// A layout is what is known of how runtime/pprof keeps labels in a context. Its public
// functions need three allocations and two walks through the context for what takes one
// of each here, which is what an HTTP request would feel of this package.
type layout struct {
	key   any // under which a context has labels
	empty any // a nil pointer of the type of the labels in a context
}

// known is the layout of this Go version, or nil if it is not the expected one. Then
// labels are set with the public functions.
var known = learn()

// learn asks runtime/pprof for the key and for labels of its own, compares their type
// with set, and reads labels of ours back.
func learn() *layout {
	asked := &keyProbe{Context: context.Background()}
	pprof.Label(asked, traceKey)
	if asked.key == nil {
		return nil
	}
	theirs := pprof.WithLabels(context.Background(), pprof.Labels(spanKey, "1", traceKey, "2")).Value(asked.key)
	of := reflect.TypeOf(theirs)
	if of == nil || of.Kind() != reflect.Pointer || !sameLayout(of.Elem(), reflect.TypeFor[set]()) {
		return nil
	}
	l := &layout{key: asked.key, empty: reflect.Zero(of).Interface()}
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	ctx := context.WithValue(context.Background(), l.key, l.of(newBlock(sc)))
	readSpan, _ := pprof.Label(ctx, spanKey)
	readTrace, _ := pprof.Label(ctx, traceKey)
	if readSpan != sc.SpanID().String() || readTrace != sc.TraceID().String() {
		return nil
	}
	return l
}

// keyProbe is a context that notes what it is asked for.
type keyProbe struct {
	context.Context
	key any
}

func (p *keyProbe) Value(key any) any {
	p.key = key
	return nil
}

// sameLayout reports whether two types have the same memory layout. A struct with one
// field is as that field.
func sameLayout(a, b reflect.Type) bool {
	for a.Kind() == reflect.Struct && a.NumField() == 1 {
		a = a.Field(0).Type
	}
	for b.Kind() == reflect.Struct && b.NumField() == 1 {
		b = b.Field(0).Type
	}
	if a.Kind() != b.Kind() || a.Size() != b.Size() {
		return false
	}
	switch a.Kind() {
	case reflect.String:
		return true
	case reflect.Slice:
		return sameLayout(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if a.NumField() != b.NumField() || a.Field(i).Offset != b.Field(i).Offset || !sameLayout(a.Field(i).Type, b.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}

// of returns the labels of b as a context has them: of the type that runtime/pprof
// expects.
func (l *layout) of(b *block) any {
	labels := l.empty
	(*struct{ typ, data unsafe.Pointer })(unsafe.Pointer(&labels)).data = unsafe.Pointer(b)
	return labels
}

// A labelled is a context with labels. There is none unless the layout is known.
type labelled struct {
	context.Context
	labels *block
}

// Value implements [context.Context].
func (c *labelled) Value(key any) any {
	if key == known.key {
		return known.of(c.labels)
	}
	return c.Context.Value(key)
}

// withLabels returns a context with the labels of a span, beside those that it has.
func withLabels(ctx context.Context, sc trace.SpanContext) context.Context {
	b := newBlock(sc)
	return pprof.WithLabels(ctx, pprof.Labels(spanKey, b.labels[0].value, traceKey, b.labels[1].value))
}
