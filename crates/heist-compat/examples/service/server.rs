//! Accepts connections, serves each in a task of its own, and drains them when told to stop.
//!
//! Two channels that carry nothing tell who is still there: when the server drops the sender of `stopping`, every
//! connection knows; when the last connection drops its sender of `open`, the server knows.

use crate::app::App;
use async_channel::{Receiver, Sender};
use futures_util::future::{Either, select};
use heist::net::{TcpListener, TcpStream};
use heist::task::JoinHandle;
use heist_compat::{HeistIo, HeistTimer};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Nothing is ever sent: only the ends of a channel count.
type Never = Infallible;

pub(crate) struct Server {
    address: SocketAddr,
    app: Arc<App>,
    /// Dropped to stop.
    running: Sender<Never>,
    /// Closed when the last connection is.
    drained: Receiver<Never>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, app: Arc<App>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (running, stopping) = async_channel::bounded(1);
        let (open, drained) = async_channel::bounded(1);
        let accepting = heist::task::Builder::new().name("accept").spawn(accept(
            listener,
            Arc::clone(&app),
            stopping,
            open,
        ));
        Ok(Self {
            address,
            app,
            running,
            drained,
            accepting,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops accepting and waits for the connections, `grace` at most.
    pub(crate) async fn stop(self, grace: Duration) -> Drained {
        let Self {
            app,
            running,
            drained,
            accepting,
            ..
        } = self;
        drop(running);
        let finished = heist::time::timeout(grace, async {
            // The listener closes first, so that no connection comes in behind the count.
            let accepted = accepting.await.is_ok();
            let open = drained.sender_count();
            let _closed = drained.recv().await;
            (accepted, open)
        })
        .await;
        let left = drained.sender_count();
        let (accepted, finished) = finished.unwrap_or((true, 0));
        Drained {
            requests: app.requests(),
            finished,
            left,
            accepted,
        }
    }
}

/// How the server ended.
pub(crate) struct Drained {
    requests: u64,
    /// Connections that were open when it stopped, and then closed in time.
    finished: usize,
    /// Connections that were still open at the end of the grace period.
    left: usize,
    /// Whether the accepting task ended as it should.
    accepted: bool,
}

impl Drained {
    pub(crate) fn is_clean(&self) -> bool {
        self.left == 0 && self.accepted
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            requests,
            finished,
            left,
            ..
        } = self;
        write!(
            f,
            "stopped after {requests} requests; open connections drained: {finished}, "
        )?;
        write!(f, "cut off: {left}")?;
        if !self.accepted {
            write!(f, "; the accepting task failed")?;
        }
        Ok(())
    }
}

async fn accept(
    listener: TcpListener,
    app: Arc<App>,
    stopping: Receiver<Never>,
    open: Sender<Never>,
) {
    loop {
        let socket = {
            let next = pin!(listener.accept());
            let stop = pin!(stopping.recv());
            match select(stop, next).await {
                Either::Left(_) => return,
                Either::Right((Ok((socket, _)), _)) => socket,
                Either::Right((Err(error), _)) => {
                    // Out of descriptors, most likely: some will be free again in a moment.
                    eprintln!("accept: {error}");
                    heist::time::sleep(Duration::from_millis(10)).await;
                    continue;
                }
            }
        };
        let connection = connection(socket, Arc::clone(&app), stopping.clone(), open.clone());
        drop(
            heist::task::Builder::new()
                .name("connection")
                .spawn(connection),
        );
    }
}

async fn connection(
    socket: TcpStream,
    app: Arc<App>,
    stopping: Receiver<Never>,
    _open: Sender<Never>,
) {
    if socket.set_nodelay(true).is_err() {
        app.connection_failed();
        return;
    }
    let service = service_fn(|request| {
        let app = Arc::clone(&app);
        async move { Ok::<_, Infallible>(app.respond(request).await) }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(HeistTimer)
            .serve_connection(HeistIo::new(socket), service)
    );
    let stop = pin!(stopping.recv());
    let outcome = match select(connection.as_mut(), stop).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(_) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if outcome.is_err() {
        // Most often a client that left in the middle: no event worth a line.
        app.connection_failed();
    }
}
