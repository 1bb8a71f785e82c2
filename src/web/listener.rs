//! Connections: where they are taken, how many, how long each may dawdle, and how they end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use super::auth::Peer;
use super::files::Files;
use super::router::router;
use super::state::Page;
use super::wire::Wire;
use crate::config;

/// Connections at once; further ones wait to be taken.
const MOST: usize = 64;
/// A request's head must be there in this time, also the next one's on a connection that is kept; so must TLS.
const HEAD: Duration = Duration::from_secs(15);
/// The largest head of a request, bytes.
const MOST_HEAD: usize = 32 * 1024;
/// Before it is tried again to listen.
const AGAIN: Duration = Duration::from_secs(5);
/// Between two looks at the files that the settings name.
const LOOK: Duration = Duration::from_secs(60);
/// What is being answered when the end comes may take this long.
const FAREWELL: Duration = Duration::from_secs(1);

/// How the page is to be served; `None`: no longer.
pub(super) type Wanted = watch::Receiver<Option<config::Web>>;

/// Serves `page` as the latest settings have it.
pub(super) async fn run(mut settings: Wanted, page: Page) {
    let mut said = None;
    loop {
        let Some(web) = settings.borrow_and_update().clone() else { return };
        let opened = async {
            if !web.enabled {
                return std::future::pending().await;
            }
            Listening::open(web).await
        };
        let opened = select! {
            opened = opened => opened,
            changed = settings.changed() => if changed.is_ok() { continue } else { return },
        };
        match opened {
            Ok(listening) => {
                said = None;
                listening.serve(&page, &mut settings).await;
            }
            Err(problem) => {
                if said.as_ref() != Some(&problem) {
                    warn!("the box's own page cannot be served: {problem}. Trying on");
                    said = Some(problem);
                }
                _ = timeout(AGAIN, settings.changed()).await;
            }
        }
    }
}

/// A port that is ours, and what it is served with.
struct Listening {
    web: config::Web,
    files: Files,
    tls: Option<TlsAcceptor>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    async fn open(web: config::Web) -> Result<Self, String> {
        let files = read(&web).await?;
        let tls = files.tls().map_err(|error| error.to_string())?.map(TlsAcceptor::from);
        let address = web.address().map_err(|error| format!("web.address {}: {error}", web.address))?;
        let remedy = "if another program is there, set web.address to another port";
        let failed = |error| format!("web.address {address}: {error}; {remedy}");
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { web, files, tls, listener, address })
    }

    /// Until the settings change, or what is in the files that they name.
    async fn serve(self, page: &Page, settings: &mut Wanted) {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        info!("the box's own page is at {scheme}://{}/", self.address);
        page.auth.set(self.files.access.clone());
        let router = router(page.clone());
        let room = Arc::new(Semaphore::new(MOST));
        let (ending, ended) = watch::channel(false);
        let (cutting, cut) = watch::channel(false);
        let mut connections = JoinSet::new();
        let mut look = interval(LOOK);
        let mut said = None;
        loop {
            select! {
                _ = settings.changed() => break,
                _ = look.tick() => if self.is_outdated(&mut said).await { break },
                _ = connections.join_next(), if !connections.is_empty() => {}
                (counted, stream, peer) = self.accept(&room) => {
                    let wire = Wire::new(stream, counted, cut.clone());
                    let (tls, router, ended) = (self.tls.clone(), router.clone(), ended.clone());
                    connections.spawn(connection(wire, peer, tls, router, ended));
                }
            }
        }
        drop(self.listener);
        ending.send_replace(true);
        _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
        cutting.send_replace(true);
    }

    /// The next connection, when there is room for it.
    async fn accept(
        &self,
        room: &Arc<Semaphore>,
    ) -> (tokio::sync::OwnedSemaphorePermit, TcpStream, SocketAddr) {
        loop {
            if let Ok(counted) = Arc::clone(room).acquire_owned().await
                && let Ok((stream, peer)) = self.listener.accept().await
            {
                return (counted, stream, peer);
            }
            // Out of file descriptors, for one: it must not become a busy loop.
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether the files hold something else, and it can be used.
    async fn is_outdated(&self, said: &mut Option<String>) -> bool {
        match read(&self.web).await.and_then(|files| files.tls().map_err(|e| e.to_string()).map(|_| files)) {
            Ok(files) => {
                *said = None;
                files != self.files
            }
            Err(problem) => {
                if said.as_ref() != Some(&problem) {
                    warn!("the page is served as before: {problem}");
                    *said = Some(problem);
                }
                false
            }
        }
    }
}

async fn read(web: &config::Web) -> Result<Files, String> {
    let web = web.clone();
    let read = spawn_blocking(move || Files::read(&web).map_err(|error| error.to_string()));
    read.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// Answers until the other side is done, or `ended`.
async fn connection(
    wire: Wire,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    ended: watch::Receiver<bool>,
) {
    let from = Peer { address: peer.ip().to_canonical(), encrypted: tls.is_some() };
    match tls {
        None => answer(wire, from, router, ended).await,
        Some(tls) => match timeout(HEAD, tls.accept(wire)).await {
            Ok(Ok(stream)) => answer(stream, from, router, ended).await,
            Ok(Err(error)) => debug!(%peer, %error, "no TLS with this client"),
            Err(_) => debug!(%peer, "this client did not finish TLS"),
        },
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    from: Peer,
    router: Router,
    mut ended: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(from);
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MOST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    select! {
        _ = connection.as_mut() => return, // a client that broke off is no news
        _ = ended.wait_for(|ended| *ended) => {}
    }
    connection.as_mut().graceful_shutdown();
    _ = connection.await;
}
