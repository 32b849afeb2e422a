//! Ctrl-C as a terminal sends it, to a process of its own whose main thread is in a run (`asyncio.Runner`).
//!
//! It has no harness, because a harness keeps the main thread to itself: this program starts itself as the child that
//! is interrupted, and reads what it prints; nobody waits for time.

#[cfg(target_os = "linux")]
fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("child") => child::main(),
        _ => parent::main(),
    }
}

/// Elsewhere a run does not listen by itself.
#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod child {
    //! The programs that are interrupted.

    use heist_asyncio as asyncio;
    use std::io::Read;

    /// Waits for ever.
    async fn forever() -> asyncio::Result<()> {
        asyncio::Future::new().await
    }

    /// Says that it waits, and when it is cancelled, cleans up.
    async fn cleans_up() -> asyncio::Result<()> {
        println!("ready");
        let result = forever().await;
        asyncio::yield_now().await?;
        println!("cleaned up");
        result
    }

    async fn swallows() -> asyncio::Result<()> {
        println!("ready");
        forever().await.ok();
        println!("swallowed");
        forever().await
    }

    /// Waits for a byte, and may be cancelled meanwhile.
    async fn reads(mut source: impl Read + Send + 'static) -> asyncio::Result<()> {
        println!("ready");
        asyncio::to_thread(move || Ok(source.read_exact(&mut [0])?)).await?;
        println!("read");
        Ok(())
    }

    pub(super) fn main() {
        let arg = |n| std::env::args().nth(n).unwrap();
        let mut runner = match arg(2).as_str() {
            "many" => asyncio::Runner::new().worker_threads(2),
            _ => asyncio::Runner::current_thread(),
        };
        let result = match arg(3).as_str() {
            "cleans up" => runner.run(cleans_up()),
            "swallows" => runner.run(swallows()),
            "is told not to" => runner.catch_interrupts(false).run(cleans_up()),
            "is ignored" => runner.run(reads(std::io::stdin())),
            "has a handler" => {
                let (ours, handler) = std::os::unix::net::UnixStream::pair().unwrap();
                signal_hook::low_level::pipe::register(2, handler).unwrap();
                runner.run(reads(ours))
            }
            other => panic!("no such program: {other}"),
        };
        match result {
            Ok(()) => println!("returned"),
            Err(error) if error.is::<asyncio::KeyboardInterrupt>() => println!("interrupted"),
            Err(error) => println!("{error}"),
        }
        // Until it is ended, or its input is closed.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        println!("at the end");
    }
}

#[cfg(target_os = "linux")]
mod parent {
    //! Who interrupts them.

    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, ChildStdout, Command, Stdio};

    struct Interrupted {
        child: Child,
        output: BufReader<ChildStdout>,
    }

    impl Interrupted {
        /// Starts a program; `shell` is what the shell runs before.
        fn start(flavor: &str, program: &str, shell: &str) -> Interrupted {
            let mut child = Command::new("sh")
                .args(["-c", &format!("{shell} exec \"$0\" \"$@\"")])
                .arg(std::env::current_exe().unwrap())
                .args(["child", flavor, program])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let output = BufReader::new(child.stdout.take().unwrap());
            Interrupted { child, output }
        }

        #[track_caller]
        fn says(&mut self, expected: &str) {
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            assert_eq!(line.trim_end(), expected);
        }

        fn interrupt(&self) {
            let pid = rustix::process::Pid::from_child(&self.child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        }

        fn type_a_byte(&mut self) {
            let input = self.child.stdin.as_mut().unwrap();
            input.write_all(b"x").unwrap();
        }

        /// The next interrupt ends the process, as it does by default.
        #[track_caller]
        fn dies_of_an_interrupt(mut self) {
            self.interrupt();
            assert_eq!(self.child.wait().unwrap().signal(), Some(2));
        }

        #[track_caller]
        fn ends_by_itself(mut self) {
            drop(self.child.stdin.take());
            self.says("at the end");
            assert!(self.child.wait().unwrap().success());
        }
    }

    pub(super) fn main() {
        // A job in the background ignores the signal, and so would its children; one that is caught is the
        // system's again in them.
        signal_hook::flag::register(2, std::sync::Arc::default()).unwrap();
        for flavor in ["many", "one"] {
            first_cancels_main(flavor);
            second_aborts(flavor);
            nobody_asks_twice(flavor);
            println!("{flavor}: ok");
        }
    }

    fn first_cancels_main(flavor: &str) {
        let mut child = Interrupted::start(flavor, "cleans up", "");
        child.says("ready");
        child.interrupt();
        child.says("cleaned up");
        child.says("interrupted");
        // After the run the signal is the system's again.
        child.dies_of_an_interrupt();
    }

    fn second_aborts(flavor: &str) {
        let mut child = Interrupted::start(flavor, "swallows", "");
        child.says("ready");
        child.interrupt();
        child.says("swallowed");
        child.interrupt();
        child.says("interrupted");
        child.ends_by_itself();
    }

    /// A run leaves the signal alone where it is told to, where it is ignored, and where somebody else catches it.
    fn nobody_asks_twice(flavor: &str) {
        let mut told = Interrupted::start(flavor, "is told not to", "");
        told.says("ready");
        told.dies_of_an_interrupt();

        let mut ignored = Interrupted::start(flavor, "is ignored", "trap '' INT;");
        ignored.says("ready");
        ignored.interrupt();
        ignored.type_a_byte();
        ignored.says("read");
        ignored.says("returned");
        ignored.interrupt();
        ignored.ends_by_itself();

        let mut handled = Interrupted::start(flavor, "has a handler", "");
        handled.says("ready");
        handled.interrupt();
        handled.says("read");
        handled.says("returned");
        handled.interrupt();
        handled.ends_by_itself();
    }
}
