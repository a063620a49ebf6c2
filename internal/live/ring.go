// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package live

// A ring keeps the newest items, at most size. It grows as it fills.
type ring[T any] struct {
	size  int
	items []T // once full, the oldest item is at next
	next  int
}

func newRing[T any](size int) *ring[T] { return &ring[T]{size: size} }

func (r *ring[T]) push(item T) {
	if len(r.items) < r.size {
		r.items = append(r.items, item)
		return
	}
	r.items[r.next] = item
	r.next = (r.next + 1) % r.size
}

// newest returns a copy of the newest n items, oldest first, or of all items if
// there are fewer.
func (r *ring[T]) newest(n int) []T {
	n = min(n, len(r.items))
	out := make([]T, 0, n)
	for i := len(r.items) - n; i < len(r.items); i++ {
		out = append(out, r.items[(r.next+i)%len(r.items)])
	}
	return out
}

// all returns a copy of all items, oldest first.
func (r *ring[T]) all() []T { return r.newest(len(r.items)) }
