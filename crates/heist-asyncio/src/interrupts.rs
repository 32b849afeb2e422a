//! Ctrl-C in a run (`Runner._on_sigint`).
//!
//! The first interrupt cancels the main task, which may clean up; another one, or one after main is done, is raised out
//! of the loop, as where a task raises it (`exits.rs`). A task of the core listens.
//!
//! As in CPython, a run listens by itself only on the main thread and where nobody else has asked for the signal: its
//! disposition is the default one. There is no safe call that asks for it, so Linux is asked through `/proc`; on other
//! systems a run listens only when it is told to. Nor is there a safe call that restores it: the handler stays, and
//! does what the system would have done while no run listens. Tests: `tests/ctrl_c.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use heist::runtime::Runtime;
use parking_lot::Mutex;
use signal_hook::consts::SIGINT;

use crate::events::EventLoop;
use crate::exceptions::{Exception, KeyboardInterrupt, Result};
use crate::node::Node;
use crate::tasks::TaskHandle;

/// What the process knows of its Ctrl-C.
static PROCESS: Mutex<Process> = Mutex::new(Process {
    n_listening: 0,
    disposition: Disposition::Untouched,
});

/// True while no run listens: then the signal does what it does by default.
static NOBODY_LISTENS: AtomicBool = AtomicBool::new(true);

struct Process {
    n_listening: usize,
    disposition: Disposition,
}

/// Whose the signal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disposition {
    /// No run has listened yet.
    Untouched,
    /// It was the default one; our handler stands in for it.
    Ours,
    /// Others had asked for it before us, or nobody can know: what it does beside a run is theirs.
    Others,
}

/// Whether a run that was told nothing listens: on the main thread, where the signal's disposition is the default one.
pub(crate) fn listens_by_default() -> bool {
    is_main_thread()
        && match PROCESS.lock().disposition {
            Disposition::Untouched => is_default().unwrap_or(false),
            Disposition::Ours => true,
            Disposition::Others => false,
        }
}

#[cfg(target_os = "linux")]
fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

/// The standard library names the main thread so.
#[cfg(not(target_os = "linux"))]
fn is_main_thread() -> bool {
    std::thread::current().name() == Some("main")
}

/// Whether the signal is neither caught nor ignored; `None` where the system does not say.
fn is_default() -> Option<bool> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let has_it = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        let mask = u64::from_str_radix(line.trim(), 16).ok()?;
        Some(mask & (1 << (SIGINT - 1)) != 0)
    };
    Some(!has_it("SigIgn:")? && !has_it("SigCgt:")?)
}

/// Counts a run that listens.
fn begin_listening() -> Result<()> {
    let mut process = PROCESS.lock();
    if process.disposition == Disposition::Untouched {
        process.disposition = match is_default() {
            Some(true) => {
                signal_hook::flag::register_conditional_default(SIGINT, &NOBODY_LISTENS)?;
                Disposition::Ours
            }
            Some(false) | None => Disposition::Others,
        };
    }
    process.n_listening += 1;
    // ORDERING: Relaxed; the handler reads one flag, and acts on nothing else.
    NOBODY_LISTENS.store(false, Ordering::Relaxed);
    Ok(())
}

/// Uncounts it.
fn end_listening() {
    let mut process = PROCESS.lock();
    process.n_listening -= 1;
    // ORDERING: Relaxed; see `begin_listening`.
    NOBODY_LISTENS.store(process.n_listening == 0, Ordering::Relaxed);
}

/// Listens for Ctrl-C as long as it lives.
pub(crate) struct Interrupts {
    n_interrupts: Arc<AtomicUsize>,
    listener: heist::task::AbortHandle,
    _listening: Listening,
}

/// A run that is counted among those that listen.
struct Listening;

impl Drop for Listening {
    fn drop(&mut self) {
        end_listening();
    }
}

impl Interrupts {
    /// Listens on behalf of a run's main task.
    pub(crate) fn listen(
        runtime: &Runtime,
        event_loop: &EventLoop,
        main: &Node,
    ) -> Result<Interrupts> {
        let n_interrupts: Arc<AtomicUsize> = Arc::default();
        // Before the signal is caught, so that it is asked for while it is as others left it.
        begin_listening()?;
        let listening = Listening;
        let mut interrupts = {
            let _inside = runtime.enter();
            heist::signal::signal(heist::signal::SignalKind::interrupt())?
        };
        let (seen, event_loop) = (n_interrupts.clone(), event_loop.clone());
        let main = TaskHandle(main.clone());
        let listener = runtime.spawn(async move {
            while interrupts.recv().await.is_some() {
                // ORDERING: SeqCst is not needed, one task counts; the reader comes after the run's end.
                let is_first = seen.fetch_add(1, Ordering::Relaxed) == 0;
                // A main task that is done refuses.
                if !(is_first && main.cancel()) {
                    event_loop.raise_exit(Exception::new(KeyboardInterrupt));
                }
            }
        });
        Ok(Interrupts {
            n_interrupts,
            listener: listener.abort_handle(),
            _listening: listening,
        })
    }

    /// What the run raises: an interrupt where one ended it.
    pub(crate) fn outcome(&self, main: &Node, result: Result<()>) -> Result<()> {
        // ORDERING: Relaxed; see `listen`.
        let n_interrupts = self.n_interrupts.load(Ordering::Relaxed);
        match result {
            Err(error) if error.is_cancelled() && n_interrupts > 0 => {
                // Where somebody else cancelled main too, the cancellation stays one.
                if TaskHandle(main.clone()).uncancel() == 0 {
                    Err(Exception::new(KeyboardInterrupt))
                } else {
                    Err(error)
                }
            }
            result => result,
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
