//! Connections: where they are taken, how many, how long each may dawdle, and how they end.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::router::router;
use super::state::Page;
use crate::config;

/// A request's head must be there in this time, also the next one's on a connection that is kept.
const HEAD: Duration = Duration::from_secs(15);
/// Before it is tried again to listen.
const AGAIN: Duration = Duration::from_secs(5);
/// What is being answered when the end comes may take this long.
const FAREWELL: Duration = Duration::from_secs(1);

/// How the page is to be served; `None`: no longer.
pub(super) type Wanted = watch::Receiver<Option<config::Web>>;

/// Serves `page` as the latest settings have it.
pub(super) async fn run(mut settings: Wanted, page: Page) {
    let mut said = String::new();
    loop {
        let Some(web) = settings.borrow_and_update().clone() else { return };
        let serving = async {
            if !web.enabled {
                return std::future::pending().await;
            }
            match listen(&web).await {
                Ok((listener, address)) => {
                    info!("the box's own page is at http://{address}/");
                    said.clear();
                    Some(listener)
                }
                Err(problem) => {
                    if problem != said {
                        warn!("the box's own page cannot be served: {problem}. Trying on");
                        said = problem;
                    }
                    sleep(AGAIN).await;
                    None
                }
            }
        };
        let listener = select! {
            listener = serving => listener,
            changed = settings.changed() => if changed.is_ok() { continue } else { return },
        };
        if let Some(listener) = listener {
            serve(&listener, &page, &mut settings).await;
        }
    }
}

async fn listen(web: &config::Web) -> Result<(TcpListener, SocketAddr), String> {
    let address = web.address().map_err(|error| format!("web.address {}: {error}", web.address))?;
    let remedy = "is another program there? Set web.address to another port";
    let failed = |error| format!("web.address {address}: {error}; {remedy}");
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Until the settings change.
async fn serve(listener: &TcpListener, page: &Page, settings: &mut Wanted) {
    let router = router(page.clone());
    let (ending, ended) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        select! {
            _ = settings.changed() => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = connections.spawn(connection(stream, router.clone(), ended.clone())),
                // Out of file descriptors, for one; it must not become a busy loop.
                Err(_) => sleep(Duration::from_millis(100)).await,
            },
        }
    }
    ending.send_replace(true);
    _ = timeout(FAREWELL, async { while connections.join_next().await.is_some() {} }).await;
}

async fn connection(stream: TcpStream, router: Router, mut ended: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    select! {
        _ = connection.as_mut() => return, // a client that broke off is no news
        _ = ended.wait_for(|ended| *ended) => {}
    }
    connection.as_mut().graceful_shutdown();
    _ = connection.await;
}
