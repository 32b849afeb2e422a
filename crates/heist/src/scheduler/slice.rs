//! The time slice that a thread asks the kernel for.
//!
//! A thread that wakes up beside others that compute waits for the end of their slices, which are milliseconds long,
//! unless its own is shorter than theirs: then it runs at once. So those ask for a short one who see to it that IO and
//! timers are on time while everybody computes: the spare and the monitor. It gives them no larger part of the
//! processor. Linux grants it from 6.12 on, without privilege; elsewhere nothing is asked for.
//!
//! What counts is whose slice ends first, and near its end that of a thread which computes does: then the one that wakes
//! up waits for the end, which the kernel sees at the next tick of its clock. So a regular worker that computes asks
//! for a long slice, until it waits while nobody computes.
//!
//! What a thread starts would inherit the slice, a process that user code starts included. So it asks as well that
//! its children begin with the usual one. That cannot be taken back without privilege: whoever changes the policy of
//! such a thread later must ask for the same. A thread of a niceness below zero would lose that for its children, and
//! therefore asks for nothing.
//!
//! A spare that is held up competes with the one that has taken over, as long as both have a short slice. So the
//! monitor gives that thread a long one instead; it asks for the short one again when it comes free.
//!
//! Tests: `scheduler/tests/slice.rs`.
#![cfg_attr(
    all(target_os = "linux", not(heist_loom)),
    expect(unsafe_code, reason = "no library has these system calls")
)]

use std::time::Duration;

/// The monitor's slice: the shortest that the kernel grants.
pub(crate) const MONITOR: Duration = Duration::from_micros(100);
/// A spare's. It is longer than the monitor's, which would wait for the next tick of the kernel's clock behind a spare
/// that it has just woken, or behind one that is held up.
pub(crate) const SPARE: Duration = Duration::from_micros(200);

/// That of a regular worker that computes: the longest that the kernel grants.
pub(crate) const COMPUTING: Duration = Duration::from_millis(100);

/// The slice of a thread that computes now and then.
pub(crate) struct Long {
    may_ask: bool,
    asked: Option<Asked>,
}

impl Long {
    pub(crate) fn new(may_ask: bool) -> Self {
        Self {
            may_ask,
            asked: None,
        }
    }

    /// It computes. Costs nothing until the next [`end`](Self::end), if it has done so before.
    pub(crate) fn begin(&mut self) {
        if self.may_ask && self.asked.is_none() {
            self.asked = ask_longer(COMPUTING);
            // Who is refused once is not heard again.
            self.may_ask = self.asked.is_some();
        }
    }

    /// It has the usual one again.
    pub(crate) fn end(&mut self) {
        self.asked = None;
    }
}

/// Asks for a slice for this thread that is shorter than the usual one, until the answer is dropped; `None` where the
/// kernel grants none, or the thread's is shorter already.
#[cfg(all(target_os = "linux", not(heist_loom)))]
pub(crate) fn ask_shorter(slice: Duration) -> Option<Asked> {
    Asked::begin(slice, |now| now.has_longer(slice))
}

/// The same for a longer one.
#[cfg(all(target_os = "linux", not(heist_loom)))]
pub(crate) fn ask_longer(slice: Duration) -> Option<Asked> {
    Asked::begin(slice, |now| now.has_shorter(slice))
}

/// As there.
#[cfg(any(not(target_os = "linux"), heist_loom))]
pub(crate) fn ask_shorter(_: Duration) -> Option<Asked> {
    None
}

/// As there.
#[cfg(any(not(target_os = "linux"), heist_loom))]
pub(crate) fn ask_longer(_: Duration) -> Option<Asked> {
    None
}

/// Gives a thread of this process that has asked for this slice the one of those that compute.
#[cfg(all(target_os = "linux", not(heist_loom)))]
pub(crate) fn lengthen(thread: u32, slice: Duration) {
    linux::lengthen(thread, slice);
}

/// As there.
#[cfg(any(not(target_os = "linux"), heist_loom))]
pub(crate) fn lengthen(_: u32, _: Duration) {}

#[cfg(all(target_os = "linux", not(heist_loom)))]
pub(crate) use linux::Asked;

/// There is none.
#[cfg(any(not(target_os = "linux"), heist_loom))]
pub(crate) enum Asked {}

#[cfg(any(not(target_os = "linux"), heist_loom))]
impl Asked {
    pub(crate) fn renew(&self) {
        match *self {}
    }
}

#[cfg(all(target_os = "linux", not(heist_loom)))]
pub(super) mod linux {
    use super::COMPUTING;
    use std::marker::PhantomData;
    use std::time::Duration;

    /// The policies that have slices.
    const SCHED_OTHER: u32 = 0;
    const SCHED_BATCH: u32 = 3;
    /// A child has the usual slice.
    const SCHED_FLAG_RESET_ON_FORK: u64 = 1;

    /// `struct sched_attr` in its first version.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        /// The slice in nanoseconds, where the policy is one of the above.
        pub(crate) runtime: u64,
        deadline: u64,
        period: u64,
    }

    const LONG: u64 = COMPUTING.as_nanos() as u64;

    const SIZE: u32 = size_of::<Attributes>() as u32;

    /// The thread that asks.
    const THIS: u32 = 0;

    /// How this thread is scheduled, where the kernel tells.
    pub(crate) fn attributes() -> Option<Attributes> {
        attributes_of(THIS)
    }

    pub(crate) fn attributes_of(thread: u32) -> Option<Attributes> {
        let mut attributes = Attributes::default();
        // SAFETY: the kernel writes at most `SIZE` bytes to the attributes, which are ours and plain numbers.
        let failed = unsafe {
            libc::syscall(
                libc::SYS_sched_getattr,
                thread,
                &raw mut attributes,
                SIZE,
                0,
            )
        };
        (failed == 0).then_some(attributes)
    }

    fn set(thread: u32, attributes: Attributes) -> bool {
        let attributes = Attributes {
            size: SIZE,
            ..attributes
        };
        // SAFETY: the kernel reads as many bytes of the attributes as they say that they have.
        unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const attributes, 0) == 0 }
    }

    impl Attributes {
        /// The thread may ask, and has a longer slice than this.
        pub(crate) fn has_longer(&self, slice: Duration) -> bool {
            self.may_ask() && u128::from(self.runtime) > slice.as_nanos()
        }

        /// The thread may ask, and has a shorter one.
        pub(crate) fn has_shorter(&self, slice: Duration) -> bool {
            self.may_ask() && u128::from(self.runtime) < slice.as_nanos()
        }

        /// A slice is granted to a thread like this; an older kernel tells of none.
        fn may_ask(&self) -> bool {
            let has_slice = matches!(self.policy, SCHED_OTHER | SCHED_BATCH) && self.runtime > 0;
            has_slice && self.nice >= 0
        }
    }

    /// This thread has asked for a slice. Dropping it asks for one as long as before.
    #[derive(Debug)]
    pub(crate) struct Asked {
        before: u64,
        asked: u64,
        /// It is about this thread.
        _not_send: PhantomData<*const ()>,
    }

    impl Asked {
        pub(super) fn begin(
            slice: Duration,
            wants: impl FnOnce(&Attributes) -> bool,
        ) -> Option<Asked> {
            let now = attributes().filter(wants)?;
            let asked = Attributes {
                flags: now.flags | SCHED_FLAG_RESET_ON_FORK,
                runtime: slice.as_nanos() as u64,
                ..now
            };
            set(THIS, asked).then_some(Asked {
                before: now.runtime,
                asked: asked.runtime,
                _not_send: PhantomData,
            })
        }

        /// Asks for it again, where the monitor has given it a long one.
        pub(crate) fn renew(&self) {
            if let Some(now) = attributes().filter(|now| now.runtime == LONG) {
                let asked = Attributes {
                    runtime: self.asked,
                    ..now
                };
                set(THIS, asked);
            }
        }
    }

    impl Drop for Asked {
        fn drop(&mut self) {
            // Somebody may have changed the rest meanwhile, or this, too; the monitor has given it a long one at most.
            let is_ours = |now: &Attributes| [self.asked, LONG].contains(&now.runtime);
            if let Some(now) = attributes().filter(is_ours) {
                let before = Attributes {
                    runtime: self.before,
                    ..now
                };
                set(THIS, before);
            }
        }
    }

    pub(super) fn lengthen(thread: u32, slice: Duration) {
        let is_short = |now: &Attributes| u128::from(now.runtime) == slice.as_nanos();
        if let Some(now) = attributes_of(thread).filter(is_short) {
            // A thread that has ended meanwhile is no harm.
            let long = Attributes {
                runtime: LONG,
                ..now
            };
            set(thread, long);
        }
    }
}
