//! Listeners: sockets with a deep queue, and the loops that let connections in.

use crate::config::Listener;
use crate::connection::Connection;
use crate::shared::Shared;
use crate::{GatewayError, udp};
use socket2::{Domain, Protocol as SocketProtocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::task::TaskTracker;
use waywarden_wire::Transport;

/// Connections that wait to be let in: after an outage a whole fleet comes back at once.
const BACKLOG: i32 = 4096;
/// Until a device that vanished without a word is found out by the system.
const KEEPALIVE: Duration = Duration::from_secs(120);
/// Wait after the system refused to hand over a connection (no file handles left).
const PAUSE: Duration = Duration::from_millis(100);

/// A socket that is bound and not served yet.
pub(crate) enum Bound {
    Tcp(TcpListener, Listener),
    Udp(UdpSocket, Listener),
}

impl Bound {
    /// Binds, so that a port in use is told before anything starts.
    pub(crate) fn bind(listener: Listener) -> Result<Self, GatewayError> {
        let bound = match listener.transport {
            Transport::Tcp => tcp(listener.address).map(|socket| Self::Tcp(socket, listener)),
            Transport::Udp => udp_socket(listener.address).map(|s| Self::Udp(s, listener)),
        };
        bound.map_err(|error| GatewayError::Bind {
            address: listener.address,
            error,
        })
    }

    /// The listener with the address that the system gave (port 0 asks for any).
    pub(crate) fn local(&self) -> io::Result<Listener> {
        let (address, listener) = match self {
            Self::Tcp(socket, listener) => (socket.local_addr()?, listener),
            Self::Udp(socket, listener) => (socket.local_addr()?, listener),
        };
        Ok(Listener {
            address,
            ..*listener
        })
    }

    pub(crate) async fn serve(self, shared: Arc<Shared>, tasks: TaskTracker) {
        match self {
            Self::Tcp(socket, listener) => accept(shared, tasks, socket, listener).await,
            Self::Udp(socket, listener) => udp::serve(shared, listener.speaks, socket).await,
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(SocketProtocol::TCP),
    )?;
    // A restart must not wait for the connections of the process before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn udp_socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

async fn accept(shared: Arc<Shared>, tasks: TaskTracker, socket: TcpListener, listener: Listener) {
    loop {
        if shared.disk.paused() {
            tokio::select! {
                () = shared.shutdown.cancelled() => return,
                () = tokio::time::sleep(shared.config.times.disk_check) => continue,
            }
        }
        let accepted = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, from)) => admit(&shared, &tasks, stream, from, listener),
            Err(error) => {
                if let Some(times) = shared.folded.tell("accept_failed") {
                    tracing::warn!(%error, times, "no connection could be accepted");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn admit(
    shared: &Arc<Shared>,
    tasks: &TaskTracker,
    stream: TcpStream,
    from: SocketAddr,
    listener: Listener,
) {
    let admission = match shared.connections.admit(from.ip().to_canonical()) {
        Ok(admission) => admission,
        Err(refusal) => {
            let reason = refusal.label();
            shared.metrics.refused.with_label_values(&[reason]).inc();
            if let Some(times) = shared.folded.tell(reason) {
                tracing::warn!(reason, times, "a connection was not let in");
            }
            return;
        }
    };
    // Neither is needed to serve the device.
    let _ = stream.set_nodelay(true);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let connection = Connection::new(Arc::clone(shared), admission, listener.speaks, stream);
    tasks.spawn(connection);
}
