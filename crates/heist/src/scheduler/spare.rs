//! Who computes, and whether the spare must work.
//!
//! A regular worker counts itself among those that compute while it polls a heavy task; the monitor
//! counts those that are stuck in any other poll. When all of them compute the spare must look after
//! IO, timers and light tasks.
//!
//! - **\[W1\]** Resting is announced before the last look at who computes, and whoever calls the
//!   spare looks at the announcement after it has counted itself. So one of the two sees the other.
//! - **\[W2\]** The spare gives the driver up before it looks for a sleeper to send there, and a
//!   sleeper is on the list before it tries the driver: one of the two gets it.
//!
//! - **\[W3\]** While it works, the spare says that it is about to sleep before it looks at every queue
//!   once more; whoever pushes looks at the word after the push, if all regular workers compute. So one
//!   of the two sees the other, and only the first of many pushers wakes it. The last worker to count
//!   itself looks at the queues for those who pushed before.
//!
//! - **\[W4\]** There is room for several spares, of which one is *in charge*: all of the above is about
//!   that one. When it is held up itself, by a task that blocks or has not shown yet that it computes, the
//!   monitor puts another in charge, which looks at every queue first. One that wakes up and finds that it
//!   no longer is in charge unparks the one that is, since it may have taken a wake that was meant for that
//!   one. Then it gives its queue away, and leaves once its timers are gone. While the monitor expects that more
//!   will be held up it stands by instead, and so do some that were not in charge yet: a thread that is new waits
//!   for a processor.
//!
//! - **\[W5\]** It takes nothing heavy, unless every regular worker seems to be blocked: what they wait for may be
//!   queued behind them. Then the monitor lets it. The last one that is left does not; it tries tasks that may turn
//!   out to compute only then, one after some waiting, when the monitor says so. What it takes depends on two words; whoever changes one to say that it may looks at the
//!   other after that, and unparks it if both do.
//!
//! Tests: `scheduler/tests/loom/spare.rs`, `tests/it/rescue.rs`.

use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{AtomicBool, AtomicU8, AtomicUsize, fence};

/// No thread has played the spare yet.
const UNBORN: u8 = 0;
const RESTS: u8 = 1;
const WORKS: u8 = 2;

/// What the caller of the spare must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Called {
    /// It works already.
    Nothing,
    /// It rests: unpark it.
    Unpark,
    /// Start a thread that plays it.
    Start,
}

/// See the module. Every access is SeqCst: the protocol is about two variables.
#[derive(Debug)]
pub(crate) struct Spare {
    computing: AtomicUsize,
    state: AtomicU8,
    asleep: AtomicBool,
    /// Which of the spares is in charge; written by the monitor [W4].
    in_charge: AtomicUsize,
    /// So many spares are held up, whoever else computes; written by the monitor.
    held_up: AtomicUsize,
    /// It takes what is heavy, too; written by the monitor [W5].
    takes_heavy: AtomicBool,
    /// There is another one to take over; written with the list of those that are free [W5].
    has_another: AtomicBool,
    /// Those that are not in charge stay; written by the monitor [W4].
    stands_by: AtomicBool,
}

impl Spare {
    pub(crate) fn new() -> Self {
        Self {
            computing: AtomicUsize::new(0),
            state: AtomicU8::new(UNBORN),
            asleep: AtomicBool::new(false),
            in_charge: AtomicUsize::new(0),
            held_up: AtomicUsize::new(0),
            takes_heavy: AtomicBool::new(false),
            has_another: AtomicBool::new(false),
            stands_by: AtomicBool::new(false),
        }
    }

    /// Begins a run: nobody computes, the spare is unborn.
    pub(crate) fn reset(&self) {
        // ORDERING: SeqCst like every access; the runtime is published later.
        self.computing.store(0, SeqCst);
        // ORDERING: as above.
        self.state.store(UNBORN, SeqCst);
        // ORDERING: as above.
        self.asleep.store(false, SeqCst);
        // ORDERING: as above.
        self.in_charge.store(0, SeqCst);
        // ORDERING: as above.
        self.held_up.store(0, SeqCst);
        // ORDERING: as above.
        self.takes_heavy.store(false, SeqCst);
        // ORDERING: as above.
        self.stands_by.store(false, SeqCst);
    }

    /// Says whether those that are not in charge stay [W4].
    pub(crate) fn set_stands_by(&self, stands_by: bool) {
        // ORDERING: SeqCst, for the single order.
        self.stands_by.store(stands_by, SeqCst);
    }

    /// Whether those that are not in charge stay [W4].
    pub(crate) fn stands_by(&self) -> bool {
        // ORDERING: SeqCst, for the single order.
        self.stands_by.load(SeqCst)
    }

    /// Says whether it takes what is heavy, too [W5]. `true`: it does from now on.
    pub(crate) fn set_takes_heavy(&self, takes_heavy: bool) -> bool {
        // ORDERING: SeqCst, for the single order.
        let before = self.takes_heavy.swap(takes_heavy, SeqCst);
        // loom knows no order but that of fences.
        #[cfg(heist_loom)]
        fence(SeqCst);
        takes_heavy && !before
    }

    /// Whether it takes what is heavy, too [W5].
    pub(crate) fn takes_heavy(&self) -> bool {
        // ORDERING: SeqCst, for the single order.
        self.takes_heavy.load(SeqCst) && self.has_another()
    }

    /// Says whether there is another one to take over [W5]. If there is, the caller must look whether the one in charge
    /// takes what is heavy from now on, and then unpark it.
    pub(crate) fn set_has_another(&self, has_another: bool) {
        // ORDERING: SeqCst, for the single order.
        self.has_another.store(has_another, SeqCst);
        // loom knows no order but that of fences.
        #[cfg(heist_loom)]
        fence(SeqCst);
    }

    /// Whether there is another one to take over: the last one takes no risks [W5].
    pub(crate) fn has_another(&self) -> bool {
        // ORDERING: SeqCst, for the single order.
        self.has_another.load(SeqCst)
    }

    /// Says how many spares are held up: their timers need somebody to watch them.
    pub(crate) fn set_held_up(&self, n: usize) {
        // ORDERING: SeqCst, for the single order.
        self.held_up.store(n, SeqCst);
    }

    /// How many spares are held up.
    #[inline]
    pub(crate) fn held_up(&self) -> usize {
        // ORDERING: SeqCst, for the single order.
        self.held_up.load(SeqCst)
    }

    /// Which of the spares is in charge.
    pub(crate) fn in_charge(&self) -> usize {
        // ORDERING: SeqCst, for the single order [W4].
        self.in_charge.load(SeqCst)
    }

    /// Puts another one in charge, which works from now on.
    pub(crate) fn put_in_charge(&self, spare: usize) {
        // ORDERING: SeqCst, for the single order [W4].
        self.in_charge.store(spare, SeqCst);
        // ORDERING: as above.
        self.state.store(WORKS, SeqCst);
    }

    /// A regular worker begins to compute. Answers how many do now.
    pub(crate) fn begin(&self) -> usize {
        // ORDERING: SeqCst, and a fence: the count comes before a look at the announcement, [W1].
        let before = self.computing.fetch_add(1, SeqCst);
        fence(SeqCst);
        before + 1
    }

    pub(crate) fn end(&self) {
        // ORDERING: SeqCst, for the single order of the count.
        self.computing.fetch_sub(1, SeqCst);
    }

    /// How many regular workers compute.
    #[inline]
    pub(crate) fn computing(&self) -> usize {
        // ORDERING: SeqCst: the look comes after the announcement, [W1].
        self.computing.load(SeqCst)
    }

    /// Someone must look after everything light.
    pub(crate) fn call(&self) -> Called {
        // ORDERING: SeqCst: the look at the announcement, after the count, [W1].
        match self.state.swap(WORKS, SeqCst) {
            WORKS => Called::Nothing,
            RESTS => Called::Unpark,
            _ => Called::Start,
        }
    }

    /// It has been called before.
    pub(crate) fn is_born(&self) -> bool {
        // ORDERING: SeqCst, for the single order of the state.
        self.state.load(SeqCst) != UNBORN
    }

    /// It was called, and does not rest yet.
    pub(crate) fn works(&self) -> bool {
        // ORDERING: SeqCst, for the single order of the state.
        self.state.load(SeqCst) == WORKS
    }

    /// It is about to sleep although it works; after this it must look at every queue [W3].
    pub(crate) fn announce_sleep(&self) {
        // ORDERING: SeqCst, and a fence: the word comes before the look at the queues. A swap: whoever
        // overwrites another's announcement sees that it is no longer in charge.
        self.asleep.swap(true, SeqCst);
        fence(SeqCst);
    }

    /// It is awake. After this it must look whether it is still in charge [W4].
    pub(crate) fn announce_wake(&self) {
        // ORDERING: SeqCst, and a swap: whoever takes another's announcement away sees what that one saw,
        // that it is in charge.
        self.asleep.swap(false, SeqCst);
    }

    /// After a push and a SeqCst fence: must the caller unpark it [W3]?
    #[inline]
    pub(crate) fn wants_wake(&self) -> bool {
        // Relaxed: the fence came before.
        // ORDERING: SeqCst swap: one of the pushers is enough, and it sees who is in charge.
        self.asleep.load(Relaxed) && self.asleep.swap(false, SeqCst)
    }

    /// There was no thread for it.
    pub(crate) fn stillborn(&self) {
        // ORDERING: SeqCst, for the single order of the state.
        self.state.store(UNBORN, SeqCst);
    }

    /// The spare is about to rest; after this it must look at who computes.
    pub(crate) fn announce_rest(&self) {
        // ORDERING: SeqCst: the announcement comes before the look at the count, [W1].
        self.state.store(RESTS, SeqCst);
        fence(SeqCst);
    }

    /// The spare works again.
    pub(crate) fn announce_work(&self) {
        // ORDERING: SeqCst, for the single order of the state.
        self.state.store(WORKS, SeqCst);
    }
}
