//! The bytes of one connection: it counts among those that are open until it is really gone, also after it has become a
//! WebSocket, ends when it is told to, and is broken off if the other side takes nothing for too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Sleep, sleep};

/// Whoever takes nothing that is sent for so long is gone.
const STALLED: Duration = Duration::from_secs(30);

pub(super) struct Wire {
    stream: TcpStream,
    _counted: OwnedSemaphorePermit,
    /// `None` once it was.
    cut: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Whoever takes nothing for so long is gone.
    patience: Duration,
    /// Runs while the other side does not take what is sent.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    /// Open until `cut` is true, or nobody is left to say so.
    pub fn new(stream: TcpStream, counted: OwnedSemaphorePermit, mut cut: watch::Receiver<bool>) -> Self {
        let cut = async move { _ = cut.wait_for(|cut| *cut).await };
        Self { stream, _counted: counted, cut: Some(Box::pin(cut)), patience: STALLED, stalled: None }
    }

    fn check_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(context).is_pending()) {
            return Ok(());
        }
        self.cut = None;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// `sent`, or an error if nothing was for too long.
    fn unstalled<T>(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.stalled = None;
            return sent;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_cut(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_cut(context)?;
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.unstalled(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_cut(context)?;
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.unstalled(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;

    use tokio::net::TcpListener;
    use tokio::sync::Semaphore;

    use super::*;

    /// A wire, its other end, the places that there are for wires, and what cuts it.
    async fn wire() -> (Wire, TcpStream, Arc<Semaphore>, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let (cutting, cut) = watch::channel(false);
        (Wire::new(stream, place, cut), client, places, cutting)
    }

    #[tokio::test]
    async fn who_takes_nothing_is_broken_off() {
        let (mut wire, _client, places, _cutting) = wire().await;
        wire.patience = Duration::from_millis(50);
        let bytes = [0; 65_536];
        let error = loop {
            if let Err(error) = poll_fn(|context| Pin::new(&mut wire).poll_write(context, &bytes)).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(places.available_permits(), 0, "it is still there");
        drop(wire);
        assert_eq!(places.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_only_listens_ends_when_it_is_cut() {
        let (mut wire, _client, _places, cutting) = wire().await;
        let reading = tokio::spawn(async move {
            let mut bytes = [0; 16];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = poll_fn(|context| Pin::new(&mut wire).poll_read(context, &mut buffer)).await;
            let written = poll_fn(|context| Pin::new(&mut wire).poll_write(context, &[0])).await;
            [read.unwrap_err().kind(), written.unwrap_err().kind()]
        });
        cutting.send_replace(true);
        assert_eq!(reading.await.unwrap(), [io::ErrorKind::ConnectionAborted; 2]);
    }
}
