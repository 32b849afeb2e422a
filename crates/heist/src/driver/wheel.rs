//! A hierarchical timer wheel: pure data, no lock, no clock, no unsafe.
//!
//! Nine levels of 64 slots; a slot of level 0 is 2^14 ns wide (16 µs), one of each further level 64
//! times as wide, so that every `u64` of nanoseconds has its place and nothing overflows. An entry
//! goes to the level of the highest digit in which its deadline differs from the wheel's time.
//! Entries stay there until the earliest of their slot is due; then the slot is emptied: what is
//! due goes to a heap and fires from there, the rest sinks to finer levels. Each slot knows its earliest deadline
//! exactly, so the wheel wakes nobody for mere bookkeeping, and timers are exact although slots are wide. What may not
//! fire yet, because enough have for once, waits in the heap: a million that are due at once are not moved again for
//! each few hundred that fire.
//!
//! A slot is an array of deadlines and keys, so that taking it apart waits for no entry in memory: in lists that are
//! linked through the entries each is read before the next can be, three times until it fires. An entry belongs to
//! whoever armed it, from `insert` until `remove`, also after it has fired.
//!
//! Tests: `driver/tests/wheel.rs` holds it to a `BTreeMap`.

use crate::clock::Nanos;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;

const LEVELS: usize = 9;
const SLOTS: usize = 64;
const SLOT_BITS: u32 = 6;
/// The width of a slot of level 0, as a shift.
const BASE_SHIFT: u32 = 14;
/// Room for so many timers a slot keeps when it has been emptied.
const ROOM: usize = 16;
/// The same for the heap.
const ROOM_OF_DUE: usize = 512;

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

#[derive(Debug)]
struct Entry {
    /// Where it is in its slot; meaningless once it is due.
    position: u32,
    /// `level * 64 + slot`.
    place: u16,
    state: State,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a slot, or due.
    Armed,
    Fired,
    /// It was disarmed when it was due: the heap knows its key still.
    Gone,
}

/// An armed timer in its slot, or one that is due. Equal deadlines fire in the order of arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Armed {
    deadline: Nanos,
    sequence: u64,
    key: u32,
}

#[derive(Debug)]
struct Slot {
    /// In no order.
    armed: Vec<Armed>,
    /// A lower bound of the deadlines in the slot: exact unless the earliest was removed.
    earliest: Nanos,
}

impl Slot {
    const fn new() -> Self {
        Self {
            armed: Vec::new(),
            earliest: Nanos::MAX,
        }
    }
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
    /// What no slot has any more, and has not fired. It was due before anything that a slot has, unless that was armed
    /// too late.
    due: BinaryHeap<Reverse<Armed>>,
    /// How many of those are gone.
    n_gone: usize,
    /// Everything up to this time has fired, or is due.
    now: Nanos,
    next_sequence: u64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        // One by one: together they are large for a stack.
        let levels = (0..LEVELS).map(|_| Level {
            occupied: 0,
            slots: [const { Slot::new() }; SLOTS],
        });
        let levels: Box<[Level]> = levels.collect();
        Self {
            entries: Slab::new(),
            levels: levels.try_into().expect("as many as there are"),
            due: BinaryHeap::new(),
            n_gone: 0,
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
            position: 0,
            place: 0,
            state: State::Armed,
            waker: Some(waker),
        });
        let key = u32::try_from(key).expect("more than 2^32 timers in one wheel");
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.link(Armed {
            deadline,
            sequence,
            key,
        });
        TimerKey(key)
    }

    /// Whether a timer has fired already, or else has another waker than this one.
    pub(crate) fn look(&mut self, key: TimerKey, waker: &Waker) -> Look {
        let entry = self.entry(key.0);
        match &entry.waker {
            _ if entry.state == State::Fired => Look::Fired,
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
        match entry.state {
            State::Fired => Err(waker),
            _ => Ok(entry.waker.replace(waker)),
        }
    }

    /// Disarms a timer and forgets it. The answer is its waker, if it had not fired; it should be
    /// dropped outside any lock.
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        if self.entry(key.0).state == State::Armed && !self.unlink(key.0) {
            self.n_gone += 1;
            let entry = self.entry(key.0);
            entry.state = State::Gone;
            let waker = entry.waker.take();
            if self.n_gone == self.due.len() {
                self.forget_gone();
            }
            return waker;
        }
        self.entries.remove(key.0 as usize).waker
    }

    /// Lets it be `now` and fires what is due: in the order of deadlines, equal ones in the
    /// order of arming. At most `limit` fire; the answer is whether more are due.
    pub(crate) fn advance(&mut self, now: Nanos, limit: usize, fired: &mut Vec<Waker>) -> bool {
        let last = fired.len().saturating_add(limit);
        // While something waits to fire the wheel's time stands still, so that no slot falls behind it.
        if self.due.is_empty() {
            self.now = self.now.max(now);
            self.gather();
        }
        while fired.len() < last {
            let Some(Reverse(Armed { key, .. })) = self.due.pop() else {
                break;
            };
            let entry = self.entry(key);
            if entry.state == State::Gone {
                self.n_gone -= 1;
                self.entries.remove(key as usize);
                continue;
            }
            entry.state = State::Fired;
            fired.extend(entry.waker.take());
        }
        if self.n_gone == self.due.len() {
            self.forget_gone();
        }
        self.next_deadline().is_some_and(|next| next <= now)
    }

    /// Nothing else is due.
    fn forget_gone(&mut self) {
        for Reverse(Armed { key, .. }) in self.due.drain() {
            self.entries.remove(key as usize);
        }
        self.due.shrink_to(ROOM_OF_DUE);
        self.n_gone = 0;
    }

    /// Takes what is due out of all slots.
    fn gather(&mut self) {
        let mut due = std::mem::take(&mut self.due).into_vec();
        // From coarse to fine: what is not due sinks, and no slot that time has passed is left occupied. What sank
        // before what is due makes a level hold slots that are not due before some that are, so every slot is looked at.
        for level in (0..LEVELS).rev() {
            let mut occupied = self.levels[level].occupied;
            while occupied != 0 {
                let slot = occupied.trailing_zeros() as usize;
                occupied &= occupied - 1;
                if self.levels[level].slots[slot].earliest <= self.now {
                    self.empty_slot(level, slot, &mut due);
                }
            }
        }
        self.due = due.into();
    }

    /// When the wheel next has something to do: the earliest deadline, or a little before where
    /// the earliest was removed.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        if let Some(Reverse(first)) = self.due.peek() {
            return Some(first.deadline);
        }
        (0..LEVELS)
            .filter_map(|level| self.first_slot(level))
            .map(|(_, earliest)| earliest)
            .min()
    }

    /// Armed or fired, and not removed.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.n_gone
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

    fn link(&mut self, armed: Armed) {
        let (level_idx, slot_idx) = self.place(armed.deadline);
        let level = &mut self.levels[level_idx];
        level.occupied |= 1 << slot_idx;
        let slot = &mut level.slots[slot_idx];
        let position = slot.armed.len() as u32;
        slot.armed.push(armed);
        slot.earliest = slot.earliest.min(armed.deadline);
        let entry = self.entry(armed.key);
        entry.position = position;
        entry.place = (level_idx * SLOTS + slot_idx) as u16;
    }

    /// `false`: it is in no slot any more.
    fn unlink(&mut self, key: u32) -> bool {
        let entry = self.entry(key);
        let (position, place) = (entry.position as usize, usize::from(entry.place));
        let level = &mut self.levels[place / SLOTS];
        let slot = &mut level.slots[place % SLOTS];
        // Another may be there meanwhile.
        if slot
            .armed
            .get(position)
            .is_none_or(|armed| armed.key != key)
        {
            return false;
        }
        slot.armed.swap_remove(position);
        match slot.armed.get(position) {
            Some(&moved) => self.entry(moved.key).position = position as u32,
            None if slot.armed.is_empty() => {
                slot.earliest = Nanos::MAX;
                slot.armed.shrink_to(ROOM);
                level.occupied &= !(1 << (place % SLOTS));
            }
            None => {}
        }
        true
    }

    /// Takes a slot apart: what is due is put to the others that are, the rest is linked anew.
    fn empty_slot(&mut self, level_idx: usize, slot_idx: usize, due: &mut Vec<Reverse<Armed>>) {
        let level = &mut self.levels[level_idx];
        level.occupied &= !(1 << slot_idx);
        let slot = std::mem::replace(&mut level.slots[slot_idx], Slot::new());
        let mut all = slot.armed;
        for &armed in &all {
            match armed.deadline > self.now {
                true => self.link(armed),
                false => due.push(Reverse(armed)),
            }
        }
        // The room is for those who come next, unless some have come already.
        let slot = &mut self.levels[level_idx].slots[slot_idx];
        if slot.armed.capacity() == 0 {
            all.clear();
            all.shrink_to(ROOM);
            slot.armed = all;
        }
    }
}
