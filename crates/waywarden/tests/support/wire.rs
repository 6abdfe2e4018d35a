//! A wire that shares its connections over several servers, and that can be cut, delayed, stalled or
//! torn down while something goes over it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How a wire is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Fine,
    /// Each piece is handed on so much later, in both ways.
    Slow(Duration),
    /// What is sent is taken, as far as buffers go, and not handed on; whoever connects is let in
    /// and hears nothing.
    Stalled,
    /// Every connection ends, and new ones end at once.
    Down,
}

struct State {
    mood: Mood,
    /// Both ends of what is open, by a number of its own.
    open: Vec<(usize, [TcpStream; 2])>,
    servers: Vec<SocketAddr>,
}

struct Shared {
    state: Mutex<State>,
    turned: Condvar,
    next: AtomicUsize,
}

/// Cheap to share; lives as long as the test.
#[derive(Clone)]
pub struct Wire {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

impl Wire {
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), servers)
    }

    /// At an address that others know already.
    pub fn at(address: SocketAddr, servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|e| panic!("{address}: {e}"));
        let address = listener.local_addr().unwrap();
        let state = State {
            mood: Mood::Fine,
            open: Vec::new(),
            servers,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            turned: Condvar::new(),
            next: AtomicUsize::new(0),
        });
        let of = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let of = Arc::clone(&of);
                std::thread::spawn(move || of.carry(client));
            }
        });
        Self { address, shared }
    }

    pub fn set(&self, mood: Mood) {
        self.shared.state().mood = mood;
        self.shared.turned.notify_all();
        if mood == Mood::Down {
            self.cut();
        }
    }

    /// Ends every connection that there is.
    pub fn cut(&self) {
        let state = self.shared.state();
        state.open.iter().for_each(|(_, ends)| end(ends));
    }

    /// The servers from now on, for new connections.
    pub fn lead_to(&self, servers: Vec<SocketAddr>) {
        self.shared.state().servers = servers;
    }

    /// Whether a connection that a server sees from this port goes over it.
    pub fn reaches_from(&self, port: u16) -> bool {
        let state = self.shared.state();
        let from = |s: &TcpStream| s.local_addr().is_ok_and(|a| a.port() == port);
        state.open.iter().any(|(_, [_, server])| from(server))
    }
}

fn end(ends: &[TcpStream; 2]) {
    for stream in ends {
        // One that has ended already is as wanted.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(self: Arc<Self>, client: TcpStream) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let server = {
            let state = self.state();
            let servers = &state.servers;
            match state.mood {
                Mood::Down => None,
                _ => servers.get(number % servers.len().max(1)).copied(),
            }
        };
        let Some(Ok(server)) = server.map(TcpStream::connect) else {
            return;
        };
        for stream in [&client, &server] {
            // A piece that waits for the answer to the one before would be a delay of our own.
            let _ = stream.set_nodelay(true);
        }
        let ends = || [client.try_clone().unwrap(), server.try_clone().unwrap()];
        {
            let mut state = self.state();
            if state.mood == Mood::Down {
                return;
            }
            state.open.push((number, ends()));
        }
        let [from, to] = ends();
        let of = Arc::clone(&self);
        let way = std::thread::spawn(move || of.copy(from, to));
        self.copy(server, client);
        way.join().unwrap();
        self.state().open.retain(|(n, _)| *n != number);
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from.read(&mut bytes) {
            let stalled = |s: &mut State| s.mood == Mood::Stalled;
            let state = self.turned.wait_while(self.state(), stalled).unwrap();
            let mood = state.mood;
            drop(state);
            if let Mood::Slow(delay) = mood {
                std::thread::sleep(delay);
            }
            if to.write_all(&bytes[..n]).is_err() {
                break;
            }
        }
        // The other way ends by it.
        end(&[from, to]);
    }
}
