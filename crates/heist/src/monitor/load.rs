//! How many processors others leave to the workers.
//!
//! A peer that is woken where no processor is free takes one from somebody, or waits for one: what it does is done no
//! sooner, and its wake is paid for. So the monitor asks the kernel at each of its looks how many threads run on the
//! machine, and takes off the workers.

/// What one reading weighs in the average.
const WEIGHT: f64 = 1.0 / 8.0;

/// What runs on the machine beside the workers.
#[derive(Debug)]
pub(super) struct Others {
    meter: Option<Meter>,
    average: Average,
}

impl Others {
    pub(super) fn new() -> Self {
        Self {
            meter: Meter::new(),
            average: Average::default(),
        }
    }

    /// Nobody has looked for a while.
    pub(super) fn forget(&mut self) {
        self.average = Average::default();
    }

    /// The processors that are left for workers, `awake` of whom are awake. Any number of them where nobody tells.
    pub(super) fn look(&mut self, awake: usize) -> usize {
        let read = self
            .meter
            .as_ref()
            .and_then(|meter| Some((meter.running()?, meter.processors)));
        let Some((running, processors)) = read else {
            return usize::MAX;
        };
        // The thread that looks is one of them.
        let others = running.saturating_sub(awake + 1);
        processors.saturating_sub(self.average.note(others))
    }
}

/// A moving average.
#[derive(Debug, Default)]
struct Average(f64);

impl Average {
    /// What it is then, rounded.
    fn note(&mut self, n: usize) -> usize {
        self.0 += WEIGHT * (n as f64 - self.0);
        self.0.round() as usize
    }
}

/// Who tells what runs.
#[derive(Debug)]
struct Meter {
    #[cfg(target_os = "linux")]
    loadavg: std::fs::File,
    processors: usize,
}

#[cfg(target_os = "linux")]
impl Meter {
    fn new() -> Option<Self> {
        let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
        Some(Self {
            loadavg: std::fs::File::open("/proc/loadavg").ok()?,
            processors: count_listed(&online)?,
        })
    }

    /// How many threads of all processes run, or wait for a processor. One system call, of a microsecond or two.
    fn running(&self) -> Option<usize> {
        use std::os::unix::fs::FileExt;
        let mut text = [0; 128];
        let n = self.loadavg.read_at(&mut text, 0).ok()?;
        running(std::str::from_utf8(text.get(..n)?).ok()?)
    }
}

/// Nobody tells.
#[cfg(not(target_os = "linux"))]
impl Meter {
    fn new() -> Option<Self> {
        None
    }

    fn running(&self) -> Option<usize> {
        None
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
        assert_eq!(average.note(2), 0);
        let noted: Vec<usize> = (0..30).map(|_| average.note(2)).collect();
        assert_eq!(noted.last(), Some(&2));
        assert!(noted.is_sorted(), "{noted:?}");
        assert_eq!(average.note(0), 2);
        assert_eq!((0..30).map(|_| average.note(0)).last(), Some(0));
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
