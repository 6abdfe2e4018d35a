//! The device's end of a connection.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub struct Device {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

impl Device {
    pub async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            buffer: Vec::new(),
        }
    }

    pub async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line, within five seconds.
    pub async fn line(&mut self) -> String {
        let read = timeout(Duration::from_secs(5), self.next());
        let line = read.await.expect("a line within 5 s");
        line.expect("the connection was closed")
    }

    pub async fn lines(&mut self, n: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for _ in 0..n {
            lines.push(self.line().await);
        }
        lines
    }

    /// Nothing comes for 150 ms, and the connection stays.
    pub async fn hears_nothing(&mut self) {
        if let Ok(line) = timeout(Duration::from_millis(150), self.next()).await {
            panic!("heard {line:?}");
        }
    }

    /// The gateway closes the connection within five seconds, without another line.
    pub async fn is_closed(&mut self) {
        let read = timeout(Duration::from_secs(5), self.next());
        assert_eq!(read.await.expect("closed within 5 s"), None);
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}
