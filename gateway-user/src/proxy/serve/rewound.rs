//! A connection of which the first bytes were read already.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Gives the first bytes again.
pub(super) struct Rewound {
    first: Vec<u8>,
    stream: Option<TcpStream>,
    returned: Rc<Cell<Option<TcpStream>>>,
}

impl Rewound {
    /// A connection on which `first` was read; when this is dropped, the connection itself is in `returned`.
    pub fn new(first: Vec<u8>, stream: TcpStream, returned: &Rc<Cell<Option<TcpStream>>>) -> Self {
        Self { first, stream: Some(stream), returned: Rc::clone(returned) }
    }

    fn stream(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.stream.as_mut().expect("it is taken on drop only"))
    }
}

impl Drop for Rewound {
    fn drop(&mut self) {
        self.returned.set(self.stream.take());
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return self.stream().poll_read(task, buffer);
        }
        let give = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..give]);
        if give == self.first.len() {
            self.first = Vec::new();
        } else {
            self.first.drain(..give);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(task, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(task, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(task)
    }
}
