//! The example `service` as a process: what it answers, what it refuses, and how it stops.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

/// The program, built as this test is. Cargo builds examples with all tests, but not with one that is named.
fn program() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().unwrap().parent().unwrap();
        let release = profile.file_name().unwrap() == "release";
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                // All of them, so that the features are those of a test of all.
                "--workspace",
                "--example",
                "service",
            ])
            .args(release.then_some("--release"))
            .arg("--target-dir")
            .arg(profile.parent().unwrap())
            .status()
            .unwrap();
        assert!(built.success());
        profile.join("examples").join("service")
    })
}

struct Service {
    child: Child,
    address: SocketAddr,
    output: BufReader<std::process::ChildStdout>,
}

impl Service {
    fn start() -> Self {
        let mut child = Command::new(program())
            .args(["--listen", "127.0.0.1:0", "--workers", "2"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.strip_prefix("serving on http://").unwrap();
        let address = address.split(' ').next().unwrap().parse().unwrap();
        Self {
            child,
            address,
            output,
        }
    }

    /// Sends a request on a connection of its own.
    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(
            stream,
            "{request} HTTP/1.1\r\nhost: service\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        stream
    }

    /// Status and body of the answer.
    fn ask(&self, request: &str) -> (u16, String) {
        answer(self.send(request))
    }

    /// Waits until a sleeper's request is in flight, beside the one that asks. `false`: it was over before, the `nth`.
    fn sees_in_flight(&self, nth: usize) -> bool {
        let over = format!("http_requests_total{{route=\"/sleep\",status=\"200\"}} {nth}\n");
        loop {
            let (_, metrics) = self.ask("GET /metrics");
            if metrics.contains("http_requests_in_flight 2\n") {
                return true;
            }
            if metrics.contains(&over) {
                return false;
            }
        }
    }

    /// What Ctrl-C does.
    fn interrupt(&self) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
    }
}

/// A test that fails leaves no server behind.
impl Drop for Service {
    fn drop(&mut self) {
        // It has ended already unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(mut stream: TcpStream) -> (u16, String) {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

#[test]
fn it_answers() {
    let service = Service::start();
    assert_eq!(service.ask("GET /"), (200, "hello from heist\n".to_owned()));
    assert_eq!(
        service.ask("GET /sleep?ms=1"),
        (200, "slept 1 ms\n".to_owned())
    );
    assert_eq!(service.ask("GET /nothing").0, 404);
    assert_eq!(service.ask("POST /").0, 405);
    for wrong in ["/work", "/work?ms=x", "/sleep?ms=60001", "/work?ms=-1"] {
        assert_eq!(service.ask(&format!("GET {wrong}")).0, 400, "{wrong}");
    }
    // The same work has the same digest.
    let (status, digest) = service.ask("GET /work?ms=1");
    assert_eq!((status, digest.trim().len()), (200, 64));
    assert_eq!(service.ask("GET /work?ms=1"), (200, digest));

    let (_, tasks) = service.ask("GET /tasks");
    let accept = tasks
        .lines()
        .find(|line| line.starts_with("accept"))
        .unwrap();
    // It may still be in the poll that accepted this very connection, on another worker.
    assert!(
        (accept.contains("waiting") || accept.contains("running")) && accept.contains("server.rs:"),
        "{accept}"
    );
    assert!(
        tasks
            .lines()
            .any(|line| line.starts_with("connection") && line.contains("running"))
    );

    let (_, metrics) = service.ask("GET /metrics");
    for line in [
        r#"http_requests_total{route="/",status="200"} 1"#,
        r#"http_requests_total{route="/work",status="400"} 3"#,
        r#"http_request_duration_seconds_count{route="/work"} 5"#,
        "heist_workers 2",
        "# EOF",
    ] {
        assert!(
            metrics.lines().any(|have| have == line),
            "{line} is not in\n{metrics}"
        );
    }
}

#[test]
fn it_finishes_what_is_in_flight() {
    let mut service = Service::start();
    // On a machine with much else to do it may be over before anyone has seen it.
    let sleeper = (1..)
        .find_map(|nth| {
            let sleeper = service.send("GET /sleep?ms=1000");
            service.sees_in_flight(nth).then_some(sleeper)
        })
        .unwrap();
    service.interrupt();
    assert_eq!(answer(sleeper), (200, "slept 1000 ms\n".to_owned()));
    let mut rest = String::new();
    service.output.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(", 0 were cut off"), "{rest}");
    assert!(service.child.wait().unwrap().success());
    assert!(
        TcpStream::connect(service.address).is_err(),
        "nobody listens any more"
    );
}

#[test]
fn it_refuses_bad_arguments() {
    let refused = |args: &[&str]| -> Output {
        let output = Command::new(program()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty());
        output
    };
    for (args, what) in [
        (&["--nonsense"][..], "invalid option '--nonsense'"),
        (&["--listen"], "missing argument for option '--listen'"),
        (
            &["--listen", "nowhere"],
            "cannot parse argument \"nowhere\"",
        ),
        (&["stray"], "unexpected argument \"stray\""),
    ] {
        let message = String::from_utf8(refused(args).stderr).unwrap();
        assert!(
            message.contains(what) && message.contains("Usage: service"),
            "{message}"
        );
    }
}
