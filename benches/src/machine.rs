//! Where figures were measured.

use std::process::Command;

/// The processors, the system and the day, for the head of what is kept of a run.
pub fn describe() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{processors} processors of {}, {}, {}",
        model.unwrap_or("an unknown kind"),
        said_by("uname", "-sr").unwrap_or_else(|| std::env::consts::OS.to_owned()),
        said_by("date", "+%Y-%m-%d").unwrap_or_else(|| "on an unknown day".to_owned()),
    )
}

fn said_by(program: &str, arg: &str) -> Option<String> {
    let output = Command::new(program).arg(arg).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
