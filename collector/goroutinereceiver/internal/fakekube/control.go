// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package fakekube

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// Control returns a handler through which another process changes the server. It
// asks for no credentials.
//
//	PUT    /objects  an object in JSON or YAML is applied
//	DELETE /objects  the object of that kind, namespace and name is removed
//	PUT    /rules    a list of [Rule] in JSON; everything else is refused from then on
//	POST   /break    all watches end
//	POST   /compact  old versions are gone
func (s *Server) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /objects", withObject(func(o runtime.Object) error { return s.Apply(o) }))
	mux.HandleFunc("DELETE /objects", withObject(s.Delete))
	mux.HandleFunc("PUT /rules", s.putRules)
	mux.HandleFunc("POST /break", func(http.ResponseWriter, *http.Request) { s.Break() })
	mux.HandleFunc("POST /compact", func(http.ResponseWriter, *http.Request) { s.Compact() })
	return mux
}

func withObject(do func(runtime.Object) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err == nil {
			var o runtime.Object
			if o, _, err = scheme.Codecs.UniversalDeserializer().Decode(body, nil, nil); err == nil {
				err = do(o)
			}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}
}

func (s *Server) putRules(w http.ResponseWriter, r *http.Request) {
	var rules []Rule
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&rules); err != nil {
		http.Error(w, fmt.Sprintf("rules must be a list of objects with namespace, apiGroups, resources and verbs: %v", err), http.StatusBadRequest)
		return
	}
	s.SetRules(rules...)
}
