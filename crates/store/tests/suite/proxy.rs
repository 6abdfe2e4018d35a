//! A wire between store and server that can be cut or held at a chosen message.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the connection whose client first sends the bytes waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Cut; the server never sees them.
    CutBefore,
    /// The server sees them and answers; cut instead of the answer.
    CutAfter,
    /// Held both ways, with all that follows, until [`Proxy::thaw`]: as if the process that is the
    /// client were stopped.
    Freeze,
}

struct State {
    armed: Mutex<Option<(Fault, &'static [u8])>>,
    struck: watch::Sender<bool>,
    /// From the fault on new connections are refused, and the others are cut.
    refuse_then: bool,
    refusing: watch::Sender<bool>,
    frozen: watch::Sender<bool>,
}

pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

impl Proxy {
    pub async fn new(server: String, refuse_then: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            armed: Mutex::new(None),
            struck: watch::Sender::new(false),
            refuse_then,
            refusing: watch::Sender::new(false),
            frozen: watch::Sender::new(true),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *shared.refusing.borrow() {
                    continue;
                }
                let server = TcpStream::connect(&server).await.unwrap();
                connect(client, server, Arc::clone(&shared));
            }
        });
        Self { address, state }
    }

    /// The next connection whose client sends `bytes` meets the fault.
    pub fn arm(&self, fault: Fault, bytes: &'static [u8]) {
        *self.state.armed.lock().unwrap() = Some((fault, bytes));
    }

    /// Waits until the fault has happened.
    pub async fn struck(&self) {
        let mut struck = self.state.struck.subscribe();
        struck.wait_for(|yes| *yes).await.unwrap();
    }

    pub fn allow(&self) {
        self.state.refusing.send_replace(false);
    }

    pub fn thaw(&self) {
        self.allow();
        self.state.frozen.send_replace(false);
    }
}

fn connect(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mute = watch::Sender::new(None);
    let cut = watch::Sender::new(false);
    let (muted, is_cut) = (mute.subscribe(), cut.subscribe());
    let back = answers(
        from_server,
        to_client,
        Arc::clone(&state),
        muted.clone(),
        cut.clone(),
    );
    let refusing = state.refusing.subscribe();
    let forth = requests(from_client, to_server, state, mute, cut);
    for work in [Box::pin(forth) as Work, Box::pin(back)] {
        let (is_cut, refusing) = (is_cut.clone(), refusing.clone());
        tokio::spawn(until(is_cut, refusing, muted.clone(), work));
    }
}

type Work = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends the work, and with it both ends that it holds, when the connection is cut.
async fn until(
    mut cut: watch::Receiver<bool>,
    mut refusing: watch::Receiver<bool>,
    mute: watch::Receiver<Option<Fault>>,
    work: Work,
) {
    // The connection that met the fault goes its own way.
    let spared = async {
        let _ = refusing.wait_for(|yes| *yes).await;
        if mute.borrow().is_some() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = cut.wait_for(|yes| *yes) => {}
        () = spared => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: Arc<State>,
    mute: watch::Sender<Option<Fault>>,
    cut: watch::Sender<bool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let chunk = &buffer[..read];
        if let Some(fault) = strikes(&state, chunk) {
            mute.send_replace(Some(fault));
            state.refusing.send_replace(state.refuse_then);
            state.struck.send_replace(true);
            match fault {
                Fault::CutBefore => break,
                Fault::CutAfter => {}
                Fault::Freeze => thawed(&state).await,
            }
        }
        if to.write_all(chunk).await.is_err() {
            break;
        }
    }
    cut.send_replace(true);
}

/// Taken once: whoever sends the bytes next is left alone.
fn strikes(state: &State, chunk: &[u8]) -> Option<Fault> {
    let mut armed = state.armed.lock().unwrap();
    let (fault, bytes) = (*armed)?;
    if !chunk.windows(bytes.len()).any(|w| w == bytes) {
        return None;
    }
    *armed = None;
    Some(fault)
}

async fn thawed(state: &State) {
    let mut frozen = state.frozen.subscribe();
    frozen.wait_for(|yes| !yes).await.unwrap();
}

async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: Arc<State>,
    mute: watch::Receiver<Option<Fault>>,
    cut: watch::Sender<bool>,
) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let fault = *mute.borrow();
        match fault {
            Some(Fault::CutAfter) => break,
            Some(Fault::Freeze) => thawed(&state).await,
            _ => {}
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    // A process that is stopped does not see that the other end is gone.
    if *mute.borrow() == Some(Fault::Freeze) {
        thawed(&state).await;
    }
    cut.send_replace(true);
}
