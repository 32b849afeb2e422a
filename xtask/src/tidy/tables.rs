//! The tables that `tidy` holds the code against. Growing one of them is a decision, and shows in the diff as one.

/// The layers of `crates/heist/src`, lowest first: a module, and the modules whose `crate::…` paths it may name beside
/// its own. The longest matching row speaks for a module.
///
/// Two rows are parts of a module that reach elsewhere than the rest of it: `heist::task` is also where users look for
/// what spawns and yields, so `task` re-exports these two, which live where their layer is. One pair is a circle: the
/// monitor reads the workers' records, and a worker that wakes up wakes the monitor.
pub(super) const LAYERS: &[(&str, &str)] = &[
    ("sync", ""),
    ("clock", "sync"),
    ("error", ""),
    ("budget", "sync clock"),
    ("metrics", "sync clock"),
    (
        "task",
        "sync clock error budget runtime::spawning scheduler::yield_now",
    ),
    ("driver::wheel", "clock"),
    ("scheduler::yield_now", "sync task budget"),
    ("report", "task"),
    (
        "scheduler",
        "sync clock error budget metrics task report monitor",
    ),
    ("driver", "sync clock error budget metrics driver::wheel"),
    ("blocking", "sync clock error task metrics scheduler"),
    ("monitor", "sync clock error task report scheduler metrics"),
    ("parallel", "sync error scheduler"),
    ("context", ASSEMBLY),
    ("builder", ASSEMBLY),
    ("runtime::spawning", ASSEMBLY),
    ("runtime", ASSEMBLY),
    ("time", LEAF),
    ("net", LEAF),
    ("io", LEAF),
    ("signal", "sync error context runtime driver net io"),
];

/// The only place where the scheduler meets the driver.
const ASSEMBLY: &str = "sync clock error budget metrics task report scheduler driver blocking monitor \
    context builder runtime runtime::spawning";
/// The futures that users await.
const LEAF: &str =
    "sync clock error budget context runtime driver driver::wheel blocking task time io";

/// The files that may hold unsafe code, each with why nothing safe does.
pub(super) const UNSAFE_FILES: &[(&str, &str)] = &[
    (
        "crates/heist/src/sync/biased.rs",
        "a value behind a lock that its owner takes without a locked operation",
    ),
    (
        "crates/heist/src/driver/sys/exact.rs",
        "a system call that the libraries leave out",
    ),
    (
        "crates/heist/src/task/cell.rs",
        "one allocation holds header and future; the state word says who may touch which part",
    ),
    (
        "crates/heist/src/task/memory.rs",
        "memory by its layout, used again by the thread that freed it",
    ),
    (
        "crates/heist/src/task/raw.rs",
        "the type-erased task: reference count, poll, drop and free through a vtable",
    ),
    (
        "crates/heist/src/task/stateful.rs",
        "a task whose allocation is its maker's Arc: it gives a count away by pointer and takes it back",
    ),
    (
        "crates/heist/src/task/waker.rs",
        "a RawWaker over the task itself, without a second count",
    ),
    (
        "crates/heist/src/scheduler/slice.rs",
        "system calls that no library has",
    ),
    (
        "crates/heist/src/scheduler/local.rs",
        "a future that is not Send goes into a task that never leaves its thread",
    ),
    (
        "crates/heist/src/scheduler/fork/seat.rs",
        "forked jobs lie in their callers' frames, and are reached through erased pointers",
    ),
    (
        "crates/heist/src/parallel/join.rs",
        "closure and result of a fork lie in the frame of its join",
    ),
    (
        "crates/heist/src/parallel/scope.rs",
        "closures that borrow from a scope's caller are queued as if they did not",
    ),
    (
        "crates/heist/src/parallel/map.rs",
        "results are written into a vector's spare room by many at once",
    ),
    (
        "crates/heist/src/runtime/run.rs",
        "a task polls a future that lies in the frame of the thread that waits for it, and borrows from there",
    ),
    (
        "crates/heist/src/driver/sys/portable.rs",
        "Poller::add asks that a source be deleted before it closes",
    ),
    (
        "crates/heist/src/clock/tsc.rs",
        "the cycle counter is read by an intrinsic",
    ),
    (
        "crates/heist-compat/src/hyper.rs",
        "hyper's read cursor hands out memory that is not yet initialised",
    ),
    (
        "crates/heist-compat/src/tokio_io.rs",
        "tokio's ReadBuf hands out memory that is not yet initialised",
    ),
];

/// The files that may name the primitives below: the shim, which swaps them for loom's.
pub(super) const SHIM: &str = "crates/heist/src/sync";

/// Path prefixes that only the shim may name in the core, each with what to name instead.
pub(super) const PRIMITIVES: &[(&str, &str)] = &[
    ("std::sync::atomic", "crate::sync::atomic"),
    ("core::sync::atomic", "crate::sync::atomic"),
    ("std::sync::Mutex", "crate::sync::Mutex"),
    ("std::sync::RwLock", "crate::sync"),
    ("std::sync::Condvar", "crate::sync::Condvar"),
    ("std::sync::Barrier", "crate::sync"),
    ("std::sync::Once", "crate::sync"),
    ("std::sync::mpsc", "crate::sync"),
    ("std::thread", "crate::sync::thread"),
    ("std::cell::UnsafeCell", "crate::sync::UnsafeCell"),
    ("core::cell::UnsafeCell", "crate::sync::UnsafeCell"),
    ("parking_lot", "crate::sync"),
    ("crossbeam_deque", "crate::sync::deque"),
    ("loom", "crate::sync"),
];

/// Paths below the banned ones that are no primitives.
pub(super) const NO_PRIMITIVES: &[&str] = &[
    "std::thread::available_parallelism",
    "std::thread::panicking",
    "std::thread::ThreadId",
];

/// Where the core names a primitive all the same: file, path, and why the models lose nothing by it.
pub(super) const PRIMITIVES_ALLOWED: &[(&str, &str, &str)] = &[
    (
        "crates/heist/src/task/join.rs",
        "std::sync::Mutex",
        "only makes the payload of a panic `Sync`; nobody ever locks it",
    ),
    (
        "crates/heist/src/task/raw.rs",
        "std::sync::Mutex",
        "a marker type, never a value",
    ),
    (
        "crates/heist/src/scheduler/current.rs",
        "std::sync::atomic",
        "a counter that spreads hints; loom has no atomic for a static",
    ),
];

/// Type names that say nothing, with the reason; matched as the last word of a CamelCase name.
pub(super) const BANNED_TYPE_WORDS: &[(&str, &str)] = &[
    ("Manager", "name what it does to what"),
    ("Util", "name what it does"),
    ("Utils", "name what it does"),
    ("Inner", "say what the inside is: Shared, State, Cell"),
];

/// Words that no tracked file holds. Each is given in two halves, so that this file does not hold it either.
pub(super) const BANNED_TEXT: &[(&str, &str, &str)] = &[
    ("crates", ".io", "a registry's host"),
    ("pypi", ".org", "a registry's host"),
    ("registry.", "npmjs", "a registry's host"),
    ("deb.", "debian", "a registry's host"),
    ("/wor", "k/", "a path of one machine"),
    ("/roo", "t/", "a path of one machine"),
    ("/far", "m/", "a path of one machine"),
    ("../sha", "red", "a folder outside the project"),
];

/// Physical lines of a Rust file, and of one that holds tests.
pub(super) const MAX_LINES: usize = 700;
pub(super) const MAX_TEST_LINES: usize = 1_000;
