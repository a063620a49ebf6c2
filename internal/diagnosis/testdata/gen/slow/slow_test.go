package slow

import "testing"

func TestFast(t *testing.T) {}

func TestReplies(t *testing.T) {
	replies := make(chan int)
	t.Run("second", func(t *testing.T) { t.Log(await(replies)) })
}

func await(replies chan int) int { return <-replies }
