//! Unix-domain sockets.

use crate::support::workers;
use heist::io::{AsyncReadExt, AsyncWriteExt};
use heist::net::{UnixDatagram, UnixListener, UnixStream};

/// A folder of its own that goes with it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("heist-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn streams_echo_over_a_path() {
    let folder = Folder::new("stream");
    let path = folder.0.join("socket");
    let runtime = workers(2);
    runtime.block_on(async {
        let listener = UnixListener::bind(&path).unwrap();
        let server = heist::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (mut read, mut write) = stream.into_split();
            heist::io::copy(&mut read, &mut write).await.unwrap()
        });
        let mut client = UnixStream::connect(&path).await.unwrap();
        client.write_all(b"round").await.unwrap();
        client.close().await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "round");
        assert_eq!(server.await.unwrap(), 5);
        assert!(UnixListener::bind(&path).is_err(), "the path exists");
    });
}

#[test]
fn datagrams_go_to_paths_and_peers() {
    let folder = Folder::new("datagram");
    let runtime = workers(1);
    runtime.block_on(async {
        let (a_path, b_path) = (folder.0.join("a"), folder.0.join("b"));
        let a = UnixDatagram::bind(&a_path).unwrap();
        let b = UnixDatagram::bind(&b_path).unwrap();
        a.send_to(b"one", &b_path).await.unwrap();
        let mut buf = [0; 8];
        let (n, from) = b.recv_from(&mut buf).await.unwrap();
        assert_eq!((n, from.as_pathname()), (3, Some(&*a_path)));
        b.connect(&a_path).unwrap();
        b.send(b"two").await.unwrap();
        assert_eq!(a.recv(&mut buf).await.unwrap(), 3);
    });
}

#[test]
fn a_pair_talks() {
    let runtime = workers(1);
    runtime.block_on(async {
        let (mut a, mut b) = UnixStream::pair().unwrap();
        a.write_all(b"x").await.unwrap();
        let mut buf = [0; 1];
        b.read_exact(&mut buf).await.unwrap();
        drop(a);
        assert_eq!(b.read(&mut buf).await.unwrap(), 0);
    });
}
