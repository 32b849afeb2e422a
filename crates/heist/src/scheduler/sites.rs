//! Spawn sites whose tasks compute.
//!
//! A program that spawns a fresh task for each computation gives the scheduler no second poll to
//! judge by. So the site is judged: when tasks of one site are done in one long poll again and
//! again, new tasks from there are heavy from birth; when in a short one it is forgotten. Tasks that
//! have waited for anything say nothing of their site: one request of a connection may be heavy and
//! the next connection light.
//!
//! The table is small and hashed: two sites may share a place, which costs one of them some waiting
//! behind light tasks, and nothing else. All accesses are Relaxed: it holds opinions, no data.
//!
//! Tests: `scheduler/tests/sites.rs`, `tests/it/rescue.rs`.

use crate::sync::AtomicU8;
use crate::sync::atomic::Ordering::Relaxed;
use std::panic::Location;

const PLACES: usize = 1024;
/// Long ends that make a site heavy, and the most that are remembered.
const HEAVY: u8 = 2;
const MOST: u8 = 6;

/// See the module.
pub(crate) struct Sites(Box<[AtomicU8]>);

impl Sites {
    pub(crate) fn new() -> Self {
        Self((0..PLACES).map(|_| AtomicU8::new(0)).collect())
    }

    pub(crate) fn reset(&self) {
        self.0.iter().for_each(|place| place.store(0, Relaxed));
    }

    fn place(&self, site: &'static Location<'static>) -> &AtomicU8 {
        let address = std::ptr::from_ref(site).addr() as u64;
        let hash = address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54;
        &self.0[hash as usize % PLACES]
    }

    /// Whether new tasks from here should be heavy.
    #[inline]
    pub(crate) fn is_heavy(&self, site: &'static Location<'static>) -> bool {
        self.place(site).load(Relaxed) >= HEAVY
    }

    /// A task from here has ended, in a long poll or a short one.
    #[inline]
    pub(crate) fn record(&self, site: &'static Location<'static>, long: bool) {
        let place = self.place(site);
        let seen = place.load(Relaxed);
        match long {
            true if seen < MOST => place.store(seen + 1, Relaxed),
            false if seen > 0 => place.store(seen - 1, Relaxed),
            _ => {}
        }
    }
}
