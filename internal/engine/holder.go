package engine

import (
	"fmt"
	"strings"

	"github.com/otelgoroutine/go/internal/parse"
)

// holderSentence says what a dump suggests about the holder of a lock, with a
// leading space. It returns "" when the dump does not show the lock's object.
// The sentence is worded as a hint, and its only addresses are those of locks.
func holderSentence(l *parse.Lock) string {
	switch {
	case l.Circle != nil:
		return " " + circleSentence(l)
	case l.Holder != nil && l.Holder.Waits:
		return fmt.Sprintf(" Perhaps locked twice by goroutine %d: in %s it is past a line where others lock it, and waits for it again.", l.Holder.ID, place(l.Holder.Under))
	case l.Holder != nil:
		return fmt.Sprintf(" Perhaps held by %s: it is past a line where others lock it, and works on the same object.", suspect(l.Holder))
	case !l.Object:
		return ""
	case l.Others == 0:
		return " No other goroutine is seen to work on its object: it may have been locked twice by one that waits, or left locked by one that has returned."
	case l.Others == 1:
		return fmt.Sprintf(" One other goroutine works on its object, and may have locked it or not: %s.", suspect(&l.Example))
	}
	return fmt.Sprintf(" %d other goroutines work on its object, %d of them like %s; one may have locked it.", l.Others, l.Most, suspect(&l.Example))
}

// suspect describes a goroutine: its ID, its state, where it is, and the caller
// that works on the object.
func suspect(s *parse.Suspect) string {
	text := fmt.Sprintf("goroutine %d, in %s", s.ID, s.State)
	if s.At.Function != "" {
		text += " at " + place(s.At)
	}
	if s.Under != s.At && s.Under.Function != "" {
		text += ", called from " + place(s.Under)
	}
	return text
}

func circleSentence(l *parse.Lock) string {
	start, has := "They seem to wait for each other: ", "has"
	if !l.Sure {
		start, has = "Perhaps they wait for each other: ", "works on the object of"
	}
	var links []string
	for _, link := range l.Circle {
		links = append(links, fmt.Sprintf("goroutine %d %s 0x%x and wants 0x%x", link.Goroutine, has, link.Has, link.Wants))
	}
	return start + strings.Join(links, ", ") + "."
}
