package parse

import (
	"fmt"
	"testing"
)

func TestSlip(t *testing.T) {
	stop := run(loads["garbage"], loads["garbage"], loads["channels"], loads["timers"], loads["mutexes"])
	defer stop()
	rounds(5)()
	d := newTestDecoder()
	want := dumpStates(t)
	for i := range 1500 {
		data := flightOf(t, rounds(1))
		places := map[uint64]place{}
		d.movements.still = func(id uint64, p place) { places[id] = p; d.add(id, p) }
		g, _, _ := d.read(data)
		d.readGeneration(data, g)
		s := d.snapshot(traceTime, true)
		if s.Total != len(want) && i > 0 {
			for _, c := range d.crowds {
				fr, _ := d.tables.frames(c.stack)
				if kindOf(fr) != kindUser { continue }
				for _, id := range c.ids {
					if _, ok := want[id]; !ok {
						fmt.Println(i, "SLIP", id, c.place, fr, d.kinds.past[id])
						dumpEvents(t, data, id)
					}
				}
			}
		}
	}
}
