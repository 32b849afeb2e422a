//! The processor that the thread in the driver waits for.
//!
//! A thread that wakes up while all processors are busy is queued at the one that it ran on last. It takes the place of one
//! that computes; but not of a thread of the kernel, or of another program's with a higher priority, and where the host has
//! stopped a virtual processor nobody runs there at all. Then it is late by milliseconds, beside processors on which it would
//! run at once.
//!
//! So the monitor, if it runs, has it moved to where that is: it tells the kernel that the thread may run here only, which
//! moves it, and then that it may run where it might before. No task of its runs meanwhile
//! (`driver/sleeper.rs`): what that starts would inherit the one processor. Afterwards the monitor moves away from
//! here in the same manner, since the two would be late together where they share one.
//!
//! A thread that has been moved, and what is started on it later, keeps to the processors that its program had then, should
//! it be given more. Where somebody else changes the processors of that very thread just then, that is lost.
//!
//! Tests: `monitor/processor/tests.rs`.

#[cfg(all(target_os = "linux", not(heist_loom)))]
pub(super) use linux::{bring_here, move_away};

#[cfg(all(test, target_os = "linux", not(heist_loom)))]
mod tests;

/// Where it cannot, nothing below does anything.
pub(super) const CAN_MOVE: bool = cfg!(all(target_os = "linux", not(heist_loom)));

/// As there.
#[cfg(any(not(target_os = "linux"), heist_loom))]
pub(super) fn bring_here(_thread: u32, _meanwhile: impl FnOnce()) -> bool {
    false
}

/// As there.
#[cfg(any(not(target_os = "linux"), heist_loom))]
pub(super) fn move_away() {}

#[cfg(all(target_os = "linux", not(heist_loom)))]
mod linux {
    use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_getcpu, sched_setaffinity};

    /// Has a thread that sleeps, or waits for a processor, run on this one; `meanwhile` wakes it in case that it sleeps. `false`:
    /// it may not run here, or nowhere else.
    pub(crate) fn bring_here(thread: u32, meanwhile: impl FnOnce()) -> bool {
        with_processors(
            thread,
            |all, here| {
                let mut one = CpuSet::new();
                one.set(here);
                (all.is_set(here) && all.count() > 1).then_some(one)
            },
            meanwhile,
        )
    }

    /// Moves the calling thread to another processor, if it may run on one.
    pub(crate) fn move_away() {
        let others = |all: &CpuSet, here| {
            let mut others = *all;
            others.unset(here);
            (others.count() > 0).then_some(others)
        };
        with_processors(crate::clock::this_thread(), others, || ());
    }

    /// Gives a thread some of its processors while something is done. `false`: nothing is done, or the kernel refuses.
    fn with_processors(
        thread: u32,
        some: impl FnOnce(&CpuSet, usize) -> Option<CpuSet>,
        meanwhile: impl FnOnce(),
    ) -> bool {
        let thread = i32::try_from(thread).ok().and_then(Pid::from_raw);
        let Some(Ok(all)) = thread.map(|thread| sched_getaffinity(Some(thread))) else {
            return false;
        };
        let here = sched_getcpu();
        // A sandbox may not tell.
        let some = (here < CpuSet::MAX_CPU).then(|| some(&all, here)).flatten();
        let Some(some) = some else { return false };
        let moves = sched_setaffinity(thread, &some).is_ok();
        if moves {
            meanwhile();
            // It fails where the program has lost all of them meanwhile: then the kernel has chosen others.
            let _ = sched_setaffinity(thread, &all);
        }
        moves
    }
}
