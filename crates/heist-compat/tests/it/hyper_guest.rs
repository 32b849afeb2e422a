//! hyper's client and server over heist.

use crate::{connected, pattern};
use bytes::Bytes;
use heist::io::{AsyncReadExt, AsyncWriteExt};
use heist::net::TcpStream;
use heist::time::Instant;
use heist_compat::{FuturesIo, HeistExecutor, HeistIo, HeistTimer};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, UPGRADE};
use hyper::rt::{Executor, Timer};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use std::convert::Infallible;
use std::time::Duration;

type Reply = Result<Response<Full<Bytes>>, Infallible>;

async fn echo(request: Request<Incoming>) -> Reply {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new(Full::new(body)))
}

async fn client(socket: TcpStream) -> SendRequest<Full<Bytes>> {
    let (sender, connection) = handshake(HeistIo::new(socket)).await.unwrap();
    drop(heist::spawn(async move {
        connection.with_upgrades().await.unwrap()
    }));
    sender
}

fn post(body: &[u8]) -> Request<Full<Bytes>> {
    Request::post("/")
        .body(Full::new(Bytes::copy_from_slice(body)))
        .unwrap()
}

/// Sends bodies of several sizes over one connection, and expects each back.
async fn exchange(socket: TcpStream) {
    let mut sender = client(socket).await;
    for length in [0, 1, 4_096, 1 << 20] {
        let body = pattern(length);
        sender.ready().await.unwrap();
        let response = sender.send_request(post(&body)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let echoed = response.into_body().collect().await.unwrap().to_bytes();
        assert!(echoed == body, "{length} bytes come back as they went");
    }
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_serves_hyper() {
    let (near, far) = connected().await;
    let serving =
        heist::spawn(http1::Builder::new().serve_connection(HeistIo::new(far), service_fn(echo)));
    exchange(near).await;
    serving.await.unwrap().unwrap();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_stream_serves_hyper() {
    let (near, far) = connected().await;
    let serving =
        heist::spawn(http1::Builder::new().serve_connection(FuturesIo::new(far), service_fn(echo)));
    exchange(near).await;
    serving.await.unwrap().unwrap();
}

#[heist::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgraded_connection_is_a_stream_again() {
    let (near, far) = connected().await;
    let switch = service_fn(|request: Request<Incoming>| async move {
        drop(heist::spawn(async move {
            let mut stream = HeistIo::new(hyper::upgrade::on(request).await.unwrap());
            let mut question = [0; 4];
            stream.read_exact(&mut question).await.unwrap();
            assert_eq!(&question, b"ping");
            stream.write_all(b"pong").await.unwrap();
            stream.close().await.unwrap();
        }));
        let response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "ping")
            .body(Full::new(Bytes::new()));
        Ok::<_, Infallible>(response.unwrap())
    });
    let serving = http1::Builder::new()
        .serve_connection(HeistIo::new(far), switch)
        .with_upgrades();
    drop(heist::spawn(async move { serving.await.unwrap() }));

    let mut sender = client(near).await;
    let request = Request::get("/")
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "ping")
        .body(Full::new(Bytes::new()))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut stream = HeistIo::new(hyper::upgrade::on(response).await.unwrap());
    stream.write_all(b"ping").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"pong");
}

#[heist::test]
async fn the_executor_spawns() {
    let (sender, receiver) = async_channel::bounded(1);
    HeistExecutor.execute(async move { sender.send(42).await.unwrap() });
    assert_eq!(receiver.recv().await, Ok(42));
}

#[heist::test(virtual_clock = true)]
async fn the_timer_keeps_the_runtimes_time() {
    const HOUR: Duration = Duration::from_secs(3600);
    let start = Instant::now();
    HeistTimer.sleep(HOUR).await;
    assert_eq!(start.elapsed(), HOUR);

    HeistTimer.sleep_until(HeistTimer.now() + HOUR).await;
    assert_eq!(start.elapsed(), 2 * HOUR);

    let mut sleep = HeistTimer.sleep(10 * HOUR);
    HeistTimer.reset(&mut sleep, HeistTimer.now() + HOUR);
    sleep.await;
    assert_eq!(start.elapsed(), 3 * HOUR);
}

#[heist::test]
async fn a_client_that_sends_no_head_is_cut_off() {
    let (mut near, far) = connected().await;
    let serving = http1::Builder::new()
        .timer(HeistTimer)
        .header_read_timeout(Duration::from_millis(10))
        .serve_connection(HeistIo::new(far), service_fn(echo));
    let serving = heist::spawn(serving);
    near.write_all(b"GET / HT").await.unwrap();
    let mut rest = Vec::new();
    near.read_to_end(&mut rest).await.unwrap();
    assert!(serving.await.unwrap().unwrap_err().is_timeout());
}
