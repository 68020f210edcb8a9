"""Faults at random moments."""
import collections
import heapq
import itertools
import time


class Faults:
    def __init__(self, chance):
        self.chance, self.plan, self.order = chance, [], itertools.count()
        self.counts, self.begun = collections.Counter(), []

    def begin(self, log):
        self.log, self.began = open(log, "w", buffering=1), time.monotonic()

    def note(self, text):
        self.log.write(f"{time.monotonic() - self.began:7.1f} {text}\n")

    def later(self, seconds, act):
        heapq.heappush(self.plan, (time.monotonic() + seconds, next(self.order), act))

    def every(self, machines, seconds, kind):
        """Begins a fault of one of the machines now, and again and again after some of these seconds."""
        self.later(self.chance.uniform(*seconds), lambda: self.every(machines, seconds, kind))
        # Two of three servers are needed.
        if kind == "server" and any(machine.troubled for machine in machines):
            return
        machine = self.chance.choice([machine for machine in machines if not machine.troubled] or [None])
        if machine:
            what, length, over = machine.begin_fault(self.chance)
            self.counts[kind, what] += 1
            self.begun.append((time.time(), kind))
            self.note(f"{machine.name} {what} for {length:.1f} s")
            self.later(length, over)

    def act(self):
        """Does what is due."""
        while self.plan and self.plan[0][0] <= time.monotonic():
            heapq.heappop(self.plan)[2]()

    def finish(self):
        """Ends the faults that have begun, and begins no more."""
        while self.plan:
            act = heapq.heappop(self.plan)[2]
            if act.__name__ == "over":
                act()
