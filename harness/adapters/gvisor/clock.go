package main

import (
	"container/heap"
	"math"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// epoch is the stack's monotonic time at a reset: netstack takes a time of zero for one that was never set.
const epoch = time.Hour

// clock is a tcpip.Clock that only advance moves. Everything runs on the goroutine that reads the requests, or while that one waits, so there
// is nothing to lock.
type clock struct {
	now    int64 // microseconds since the reset
	timers timers
	armed  uint64
}

func (c *clock) Now() time.Time {
	return time.Unix(1_000_000_000, 0).Add(time.Duration(c.now) * time.Microsecond)
}

func (c *clock) NowMonotonic() tcpip.MonotonicTime {
	return tcpip.MonotonicTime{}.Add(epoch + time.Duration(c.now)*time.Microsecond)
}

func (c *clock) AfterFunc(d time.Duration, f func()) tcpip.Timer {
	t := &timer{clock: c, f: f, index: -1}
	t.Reset(d)
	return t
}

// next is when the earliest timer is due; false where there is none.
func (c *clock) next() (int64, bool) {
	if len(c.timers) == 0 || c.timers[0].due == math.MaxInt64 {
		return 0, false
	}
	return c.timers[0].due, true
}

// fire runs the earliest timer, which is due.
func (c *clock) fire() {
	heap.Pop(&c.timers).(*timer).f()
}

type timer struct {
	clock *clock
	f     func()
	due   int64
	order uint64
	index int
}

func (t *timer) Stop() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.clock.timers, t.index)
	return true
}

// Reset rounds up: a timer of Go never fires early.
func (t *timer) Reset(d time.Duration) {
	t.Stop()
	t.due = math.MaxInt64
	if d < math.MaxInt64/2 {
		t.due = t.clock.now
		if d > 0 {
			t.due += int64((d + time.Microsecond - 1) / time.Microsecond)
		}
	}
	t.clock.armed++
	t.order = t.clock.armed
	heap.Push(&t.clock.timers, t)
}

// timers is a heap of those that run, the earliest first; of two at one time the one that was armed first.
type timers []*timer

func (h timers) Len() int { return len(h) }

func (h timers) Less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].order < h[j].order
}

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *timers) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}

func (h *timers) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}
