//! A wire that shares its connections over several servers, and that can be cut, stalled or torn
//! down while something goes over it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How a wire is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Fine,
    /// Nothing passes; whoever connects is let in and hears nothing.
    Stalled,
    /// Every connection ends, and new ones end at once.
    Down,
}

struct Shared {
    mood: Mutex<Mood>,
    servers: Mutex<Vec<SocketAddr>>,
    next: AtomicUsize,
    /// Connections of an earlier cut end.
    cuts: AtomicU64,
}

/// Cheap to share; lives as long as the test.
#[derive(Clone)]
pub struct Wire {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

const LOOK: Duration = Duration::from_millis(20);

impl Wire {
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::Fine),
            servers: Mutex::new(servers),
            next: AtomicUsize::new(0),
            cuts: AtomicU64::new(0),
        });
        let of = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let of = Arc::clone(&of);
                std::thread::spawn(move || of.carry(&client));
            }
        });
        Self { address, shared }
    }

    pub fn set(&self, mood: Mood) {
        *self.shared.mood.lock().unwrap() = mood;
        if mood == Mood::Down {
            self.cut();
        }
    }

    /// Ends every connection that there is.
    pub fn cut(&self) {
        self.shared.cuts.fetch_add(1, Ordering::Relaxed);
    }

    /// The servers from now on, for new connections.
    pub fn lead_to(&self, servers: Vec<SocketAddr>) {
        *self.shared.servers.lock().unwrap() = servers;
    }
}

impl Shared {
    fn mood(&self) -> Mood {
        *self.mood.lock().unwrap()
    }

    fn carry(self: &Arc<Self>, client: &TcpStream) {
        let server = {
            let servers = self.servers.lock().unwrap();
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            servers.get(turn % servers.len().max(1)).copied()
        };
        let begun = self.cuts.load(Ordering::Relaxed);
        if self.mood() == Mood::Down {
            return;
        }
        let Some(Ok(server)) = server.map(TcpStream::connect) else {
            return;
        };
        let ends = [(client, &server), (&server, client)];
        let both = ends.map(|(from, to)| {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let of = Arc::clone(self);
            std::thread::spawn(move || of.copy(from, to, begun))
        });
        for way in both {
            way.join().unwrap();
        }
    }

    fn copy(&self, mut from: TcpStream, mut to: TcpStream, begun: u64) {
        let (cut, mut bytes) = (
            || self.cuts.load(Ordering::Relaxed) != begun,
            vec![0; 64 * 1024],
        );
        from.set_read_timeout(Some(LOOK)).unwrap();
        loop {
            if cut() {
                break;
            }
            if self.mood() == Mood::Stalled {
                std::thread::sleep(LOOK);
                continue;
            }
            match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(n) => {
                    if to.write_all(&bytes[..n]).is_err() {
                        break;
                    }
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) => {}
                Err(_) => break,
            }
        }
        // The other way ends by it.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
