module github.com/otelgoroutine/go/bench

go 1.26.0

replace github.com/otelgoroutine/go => ..

require (
	github.com/DataDog/gostackparse v0.7.0
	github.com/google/pprof v0.0.0-20261016150608-1facf8f91b50
	github.com/otelgoroutine/go v0.0.0-00010101000000-000000000000
	github.com/stretchr/testify v1.12.1
	golang.org/x/exp v0.0.0-20261014143641-f0251eb4aa3e
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect
