//! A hierarchical timer wheel: pure data, no lock, no clock, no unsafe.
//!
//! Nine levels of 64 slots; a slot of level 0 is 2^14 ns wide (16 µs), one of each further level 64
//! times as wide, so that every `u64` of nanoseconds has its place and nothing overflows. An entry
//! goes to the level of the highest digit in which its deadline differs from the wheel's time.
//! Entries stay there until the earliest of their slot is due; then the slot is emptied: what is
//! due fires, the rest sinks to finer levels. Each slot knows its earliest deadline exactly, so the
//! wheel wakes nobody for mere bookkeeping, and timers are exact although slots are wide.
//!
//! Lists are linked by slab indices. An entry belongs to whoever armed it, from `insert` until
//! `remove`, also after it has fired.
//!
//! Tests: `driver/tests/wheel.rs` holds it to a `BTreeMap`.

use crate::clock::Nanos;
use slab::Slab;
use std::task::Waker;

const LEVELS: usize = 9;
const SLOTS: usize = 64;
const SLOT_BITS: u32 = 6;
/// The width of a slot of level 0, as a shift.
const BASE_SHIFT: u32 = 14;
const NIL: u32 = u32::MAX;

/// The name of an armed timer, valid until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey(u32);

/// What [`Wheel::look`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Fired,
    Same,
    Other,
}

/// A timer that fired.
#[derive(Debug)]
pub(crate) struct Fired {
    deadline: Nanos,
    sequence: u64,
    pub(crate) waker: Waker,
}

#[derive(Debug)]
struct Entry {
    deadline: Nanos,
    /// Equal deadlines fire in the order of arming.
    sequence: u64,
    previous: u32,
    next: u32,
    /// `level * 64 + slot`; meaningless once fired.
    place: u16,
    fired: bool,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    head: u32,
    /// A lower bound of the deadlines in the slot: exact unless the earliest was removed.
    earliest: Nanos,
}

#[derive(Debug)]
struct Level {
    occupied: u64,
    slots: [Slot; SLOTS],
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Wheel {
    entries: Slab<Entry>,
    levels: Box<[Level; LEVELS]>,
    /// Everything up to this time has fired.
    now: Nanos,
    next_sequence: u64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        let slot = Slot {
            head: NIL,
            earliest: Nanos::MAX,
        };
        Self {
            entries: Slab::new(),
            levels: Box::new(std::array::from_fn(|_| Level {
                occupied: 0,
                slots: [slot; SLOTS],
            })),
            now: 0,
            next_sequence: 0,
        }
    }

    /// Arms a timer. One whose deadline has passed fires at the next `advance`.
    ///
    /// # Panics
    ///
    /// With more than four billion timers.
    pub(crate) fn insert(&mut self, deadline: Nanos, waker: Waker) -> TimerKey {
        let key = self.entries.insert(Entry {
            deadline,
            sequence: self.next_sequence,
            previous: NIL,
            next: NIL,
            place: 0,
            fired: false,
            waker: Some(waker),
        });
        self.next_sequence += 1;
        let key = u32::try_from(key).expect("more than 2^32 timers in one wheel");
        self.link(key);
        TimerKey(key)
    }

    /// Whether a timer has fired already, or else has another waker than this one.
    pub(crate) fn look(&mut self, key: TimerKey, waker: &Waker) -> Look {
        let entry = self.entry(key.0);
        match &entry.waker {
            _ if entry.fired => Look::Fired,
            Some(old) if old.will_wake(waker) => Look::Same,
            _ => Look::Other,
        }
    }

    /// Replaces the waker, unless the timer has fired: then the new one comes back. What comes back
    /// should be dropped outside any lock.
    pub(crate) fn replace_waker(
        &mut self,
        key: TimerKey,
        waker: Waker,
    ) -> Result<Option<Waker>, Waker> {
        let entry = self.entry(key.0);
        match entry.fired {
            true => Err(waker),
            false => Ok(entry.waker.replace(waker)),
        }
    }

    /// Disarms a timer and forgets it. The answer is its waker, if it had not fired; it should be
    /// dropped outside any lock.
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        if !self.entry(key.0).fired {
            self.unlink(key.0);
        }
        self.entries.remove(key.0 as usize).waker
    }

    /// Moves the time to `now` and fires what is due: in the order of deadlines, equal ones in the
    /// order of arming. At most `limit` fire; the answer is whether more are due.
    pub(crate) fn advance(&mut self, now: Nanos, limit: usize, fired: &mut Vec<Fired>) -> bool {
        let first = fired.len();
        let last = first.saturating_add(limit);
        let mut more = false;
        self.now = self.now.max(now);
        // From coarse to fine: what is not due sinks, what is due and has no room goes to the
        // present slot of the finest level, and no slot that time has passed is left occupied.
        // Meanwhile a level may hold what sank before what is due, so every slot is looked at; and
        // each once, because the present slot may fill again.
        for level in (0..LEVELS).rev() {
            let mut occupied = self.levels[level].occupied;
            while occupied != 0 {
                let slot = occupied.trailing_zeros() as usize;
                occupied &= occupied - 1;
                if self.levels[level].slots[slot].earliest <= self.now {
                    more |= self.empty_slot(level, slot, last, fired);
                }
            }
        }
        fired[first..].sort_unstable_by_key(|f| (f.deadline, f.sequence));
        more
    }

    /// When the wheel next has something to do: the earliest deadline, or a little before where
    /// the earliest was removed.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        (0..LEVELS)
            .filter_map(|level| self.first_slot(level))
            .map(|(_, earliest)| earliest)
            .min()
    }

    /// Armed or fired, and not removed.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    fn entry(&mut self, key: u32) -> &mut Entry {
        &mut self.entries[key as usize]
    }

    /// The first occupied slot of a level: the digits of a level grow with time, and none of the
    /// slots that time has passed is left occupied.
    fn first_slot(&self, level: usize) -> Option<(usize, Nanos)> {
        let level = &self.levels[level];
        if level.occupied == 0 {
            return None;
        }
        let slot = level.occupied.trailing_zeros() as usize;
        Some((slot, level.slots[slot].earliest))
    }

    fn place(&self, deadline: Nanos) -> (usize, usize) {
        // A deadline in the past belongs to the present slot.
        let deadline = deadline.max(self.now);
        let differing = (deadline ^ self.now) >> BASE_SHIFT;
        let level = match differing.checked_ilog2() {
            None => 0,
            Some(bit) => bit / SLOT_BITS,
        };
        let digit = (deadline >> (BASE_SHIFT + level * SLOT_BITS)) as usize % SLOTS;
        (level as usize, digit)
    }

    fn link(&mut self, key: u32) {
        let deadline = self.entry(key).deadline;
        let (level_idx, slot_idx) = self.place(deadline);
        let level = &mut self.levels[level_idx];
        level.occupied |= 1 << slot_idx;
        let slot = &mut level.slots[slot_idx];
        let head = std::mem::replace(&mut slot.head, key);
        slot.earliest = slot.earliest.min(deadline);
        let entry = self.entry(key);
        entry.place = (level_idx * SLOTS + slot_idx) as u16;
        entry.previous = NIL;
        entry.next = head;
        if head != NIL {
            self.entry(head).previous = key;
        }
    }

    fn unlink(&mut self, key: u32) {
        let entry = self.entry(key);
        let (previous, next, place) = (entry.previous, entry.next, usize::from(entry.place));
        if next != NIL {
            self.entry(next).previous = previous;
        }
        if previous != NIL {
            self.entry(previous).next = next;
            return;
        }
        let level = &mut self.levels[place / SLOTS];
        let slot = &mut level.slots[place % SLOTS];
        debug_assert_eq!(slot.head, key);
        slot.head = next;
        if next == NIL {
            slot.earliest = Nanos::MAX;
            level.occupied &= !(1 << (place % SLOTS));
        }
    }

    /// Takes a slot apart: what is due fires, until `last` have, the rest is linked anew. `true`:
    /// some that were due had no room and are due still.
    fn empty_slot(
        &mut self,
        level: usize,
        slot: usize,
        last: usize,
        fired: &mut Vec<Fired>,
    ) -> bool {
        let level = &mut self.levels[level];
        level.occupied &= !(1 << slot);
        level.slots[slot].earliest = Nanos::MAX;
        let mut key = std::mem::replace(&mut level.slots[slot].head, NIL);
        let now = self.now;
        let mut more = false;
        while key != NIL {
            let entry = &mut self.entries[key as usize];
            let next = entry.next;
            if entry.deadline > now || fired.len() >= last {
                more |= entry.deadline <= now;
                self.link(key);
            } else {
                entry.fired = true;
                fired.extend(entry.waker.take().map(|waker| Fired {
                    deadline: entry.deadline,
                    sequence: entry.sequence,
                    waker,
                }));
            }
            key = next;
        }
        more
    }
}
