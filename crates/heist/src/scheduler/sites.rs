//! Spawn sites whose tasks compute.
//!
//! A program that spawns a fresh task for each computation gives the scheduler no second poll to
//! judge by. So the site is judged, where a *site* is a place in the code together with the type of the
//! future: a framework may spawn all its tasks from one place, and a program tasks of one boxed type from
//! several. When two tasks of one site are done in one long poll, new tasks from there are heavy from birth.
//! One is no proof even if it computed: it may have been the first, or have panicked. Each that is done in
//! a short poll takes some of that back, and so does one that was heavy from birth and waits after a short
//! poll: it is no job, and one site may spawn both. Other tasks that have waited for anything say nothing
//! of their site: one request of a connection may be heavy and the next connection light.
//!
//! A site is *suspect* after two of its tasks were in a first poll that was long, and none has had a short one
//! since. That is no proof either, and says nothing of later polls, so tasks are not born heavy for it; but of a
//! burst of them spares try only some, or each would hold up a spare before the first is done.
//!
//! The table is small and hashed: two sites may share a place, which costs one of them some waiting
//! behind light tasks, and nothing else. All accesses are Relaxed: it holds opinions, no data.
//!
//! Tests: `scheduler/tests/sites.rs`, `tests/it/rescue.rs`.

use crate::budget::Length;
use crate::sync::AtomicU8;
use crate::sync::atomic::Ordering::Relaxed;
use std::panic::Location;

const PLACES: usize = 1024;
/// Long ends that make a site heavy, and the most that are remembered.
const HEAVY: u8 = 2;
const MOST: u8 = 6;
/// Beside that number, from this bit on: long first polls since the last short one, as many as make a site suspect at
/// most.
const FIRST_LONG: u8 = 0x40;
const SUSPECT: u8 = 2 * FIRST_LONG;
/// A task from there had a short first poll.
const HAS_LIGHT: u8 = 0x20;
const N_LONG: u8 = HAS_LIGHT - 1;

/// See the module.
pub(crate) struct Sites(Box<[AtomicU8; PLACES]>);

impl Sites {
    pub(crate) fn new() -> Self {
        Self(Box::new(std::array::from_fn(|_| AtomicU8::new(0))))
    }

    pub(crate) fn reset(&self) {
        self.0.iter().for_each(|place| place.store(0, Relaxed));
    }

    /// Where a site is in the table; `future`: an address that stands for the future's type.
    #[inline]
    pub(crate) fn place_of(site: &'static Location<'static>, future: usize) -> u16 {
        let address = std::ptr::from_ref(site).addr() as u64 ^ (future as u64).rotate_left(32);
        let hash = address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        hash as u16 % PLACES as u16
    }

    /// Whether new tasks from the site at this place should be heavy.
    #[inline]
    pub(crate) fn is_heavy(&self, place: u16) -> bool {
        self.place(place).load(Relaxed) & N_LONG >= HEAVY
    }

    /// Whether a task from there that has not been polled yet should wait for a regular worker.
    pub(crate) fn is_suspect(&self, place: u16) -> bool {
        self.place(place).load(Relaxed) >= SUSPECT
    }

    /// Whether a task from there had a short first poll.
    pub(crate) fn has_light(&self, place: u16) -> bool {
        self.place(place).load(Relaxed) & HAS_LIGHT != 0
    }

    /// A task from there is in its first poll, which is long already.
    pub(crate) fn suspect(&self, place: u16) {
        let place = self.place(place);
        let seen = place.load(Relaxed);
        if seen < SUSPECT {
            place.store(seen + FIRST_LONG, Relaxed);
        }
    }

    /// A task from there waits after a short first poll.
    pub(crate) fn trust(&self, place: u16) {
        let place = self.place(place);
        let seen = place.load(Relaxed);
        // On the common path the table is only read.
        if seen >= FIRST_LONG || seen & HAS_LIGHT == 0 {
            place.store((seen & N_LONG) | HAS_LIGHT, Relaxed);
        }
    }

    #[inline]
    fn place(&self, place: u16) -> &AtomicU8 {
        &self.0[usize::from(place) % PLACES]
    }

    /// Anything is remembered of long polls of the site at this place.
    #[inline]
    pub(crate) fn remembers(&self, place: u16) -> bool {
        self.place(place).load(Relaxed) & !HAS_LIGHT != 0
    }

    /// A task from there has ended, in a poll of this length. `true`: this made the site heavy.
    pub(crate) fn record(&self, place: u16, length: Length) -> bool {
        let place = self.place(place);
        let seen = place.load(Relaxed);
        let (others, n_long) = (seen & !N_LONG, seen & N_LONG);
        let (others, now) = match length {
            // The table is only read where nothing is to be remembered.
            Length::Short if seen & !HAS_LIGHT == 0 => return false,
            Length::Short => (HAS_LIGHT, n_long.saturating_sub(1)),
            Length::Long | Length::Computed => (others, (n_long + 1).min(MOST)),
        };
        place.store(others | now, Relaxed);
        n_long < HEAVY && now >= HEAVY
    }
}
