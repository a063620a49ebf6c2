// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package fakekube

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
)

// maxBody bounds what a client may send.
const maxBody = 1 << 20

// A codec writes in the form that a request accepts: protobuf or JSON.
type codec struct{ runtime.SerializerInfo }

func newCodec(r *http.Request) codec {
	for _, part := range strings.Split(r.Header.Get("Accept"), ",") {
		accepted, _, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue
		}
		if info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), accepted); ok {
			return codec{info}
		}
	}
	info, _ := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeJSON)
	return codec{info}
}

// receive reads the body of a request into an object.
func (c codec) receive(r *http.Request, into runtime.Object) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return err
	}
	_, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, into)
	return err
}

func (c codec) send(w http.ResponseWriter, status int, o runtime.Object) {
	var b bytes.Buffer
	if err := c.Serializer.Encode(o, &b); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", c.MediaType)
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// status is the object that the API has for an error.
func status(err error) *metav1.Status {
	var known apierrors.APIStatus
	if !errors.As(err, &known) {
		known = apierrors.NewInternalError(err)
	}
	s := known.Status()
	s.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind("Status"))
	return &s
}

func (c codec) fail(w http.ResponseWriter, err error) {
	s := status(err)
	c.send(w, int(s.Code), s)
}

// A stream writes the events of a watch.
type stream struct {
	codec
	frames io.Writer
	flush  func()
}

// stream begins the answer of a watch.
func (c codec) stream(w http.ResponseWriter) *stream {
	kind := c.MediaType
	if kind != runtime.ContentTypeJSON {
		kind += ";stream=watch"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(http.StatusOK)
	flush := func() { _ = http.NewResponseController(w).Flush() }
	flush()
	return &stream{c, c.StreamSerializer.Framer.NewFrameWriter(w), flush}
}

func (s *stream) send(kind watch.EventType, o runtime.Object) error {
	var inner, outer bytes.Buffer
	if err := s.Serializer.Encode(o, &inner); err != nil {
		return err
	}
	event := &metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Raw: inner.Bytes()}}
	if err := s.StreamSerializer.Serializer.Encode(event, &outer); err != nil {
		return err
	}
	if _, err := s.frames.Write(outer.Bytes()); err != nil {
		return err
	}
	s.flush()
	return nil
}
