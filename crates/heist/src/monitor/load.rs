//! How many processors others leave to the workers.
//!
//! A peer that is woken where no processor is free takes one from somebody, or waits for one: what it does is done no
//! sooner, and its wake is paid for. So the monitor asks the kernel now and then how many threads run on the machine, and
//! takes off the workers.

use crate::clock::tsc::{Scale, Ticks};
use std::time::Duration;

/// Between two readings, at least: the kernel looks at every processor for each.
const INTERVAL: Duration = Duration::from_millis(4);
/// What one reading weighs in the average.
const WEIGHT: f64 = 1.0 / 8.0;

/// What runs on the machine beside the workers.
#[derive(Debug)]
pub(super) struct Others {
    meter: Option<Meter>,
    average: Average,
    read: Ticks,
    /// [`INTERVAL`] in ticks.
    interval: u64,
}

impl Others {
    pub(super) fn new(scale: &Scale) -> Self {
        Self {
            meter: Meter::new(),
            average: Average::default(),
            read: Ticks::default(),
            interval: scale.ticks_in(INTERVAL),
        }
    }

    /// Nobody has looked for a while.
    pub(super) fn forget(&mut self) {
        self.average = Average::default();
    }

    /// The processors that are left for workers, `awake` of whom are awake; more than there are where some of these sleep
    /// in what they run. `None`: it is as it was, or nobody tells.
    pub(super) fn look(&mut self, now: Ticks, awake: usize) -> Option<usize> {
        let meter = self.meter.as_ref()?;
        if !now.is_away_from(self.read, self.interval) {
            return None;
        }
        self.read = now;
        let (running, processors) = meter.read()?;
        Some(self.average.note(running, awake).left_of(processors))
    }
}

/// How many threads run that are no workers, on average; less those workers that are awake and do not run.
#[derive(Clone, Copy, Debug, Default)]
struct Average(f64);

impl Average {
    fn note(&mut self, running: usize, awake: usize) -> Self {
        // The thread that looks is one of them.
        let others = running as f64 - awake as f64 - 1.0;
        self.0 += WEIGHT * (others - self.0);
        *self
    }

    fn left_of(self, processors: usize) -> usize {
        // Saturates at zero.
        (processors as f64 - self.0.round()) as usize
    }
}

/// Who tells what runs.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Meter {
    loadavg: std::fs::File,
    processors: usize,
}

#[cfg(target_os = "linux")]
impl Meter {
    fn new() -> Option<Self> {
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
        let processors = count_listed(&online)?;
        // Where the process may use some of them only, what runs on the machine says nothing of those.
        let ours = std::thread::available_parallelism().ok()?.get();
        if ours < processors {
            return None;
        }
        Some(Self {
            loadavg: std::fs::File::open("/proc/loadavg").ok()?,
            processors,
        })
    }

    /// How many threads of all processes run, or wait for a processor, and how many processors there are. One system
    /// call, of a microsecond or two.
    fn read(&self) -> Option<(usize, usize)> {
        use std::os::unix::fs::FileExt;
        let mut text = [0; 128];
        let n = self.loadavg.read_at(&mut text, 0).ok()?;
        let running = running(std::str::from_utf8(text.get(..n)?).ok()?)?;
        Some((running, self.processors))
    }
}

/// Nobody tells.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
enum Meter {}

#[cfg(not(target_os = "linux"))]
impl Meter {
    fn new() -> Option<Self> {
        None
    }

    fn read(&self) -> Option<(usize, usize)> {
        match *self {}
    }
}

/// The fourth field of `/proc/loadavg` is `running/all`.
#[cfg(any(target_os = "linux", test))]
fn running(loadavg: &str) -> Option<usize> {
    let field = loadavg.split_ascii_whitespace().nth(3)?;
    field.split_once('/')?.0.parse().ok()
}

/// How many numbers a list such as `0-3,8` has.
#[cfg(any(target_os = "linux", test))]
fn count_listed(list: &str) -> Option<usize> {
    let mut n = 0_usize;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        n = n.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(n)
}

#[cfg(test)]
mod tests {
    use super::{Average, count_listed, running};

    #[test]
    fn what_runs_once_is_no_load_and_what_runs_on_is() {
        let mut average = Average::default();
        // One worker, two others, and who looks.
        assert_eq!(average.note(4, 1).left_of(8), 8);
        let left: Vec<usize> = (0..30).map(|_| average.note(4, 1).left_of(8)).collect();
        assert_eq!(left.last(), Some(&6));
        assert!(left.is_sorted_by(|a, b| a >= b), "{left:?}");
        assert_eq!(average.note(2, 1).left_of(8), 6);
        assert_eq!(average.left_of(1), 0);
    }

    #[test]
    fn workers_that_sleep_in_their_polls_leave_their_processors() {
        let mut average = Average::default();
        for _ in 0..30 {
            average.note(2, 3);
        }
        assert_eq!(average.left_of(2), 4);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn linux_tells_that_this_thread_runs() {
        // Not in a sandbox, or where the process may not use every processor.
        if let Some(meter) = super::Meter::new() {
            assert!(
                meter
                    .read()
                    .is_some_and(|(running, processors)| running > 0 && processors > 0)
            );
        }
    }

    #[test]
    fn what_runs_is_the_first_half_of_the_fourth_field() {
        assert_eq!(running("0.05 0.62 1.14 3/77 30888\n"), Some(3));
        assert_eq!(running("0.05 0.62 1.14\n"), None);
        assert_eq!(running(""), None);
    }

    #[test]
    fn a_list_of_processors_is_counted() {
        assert_eq!(count_listed("0\n"), Some(1));
        assert_eq!(count_listed("0-1\n"), Some(2));
        assert_eq!(count_listed("0-3,5,8-15\n"), Some(13));
        for not_a_list in ["", "3-1", "a", "0-"] {
            assert_eq!(count_listed(not_a_list), None, "{not_a_list:?}");
        }
    }
}
