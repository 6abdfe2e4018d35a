//! Recorded frames, sent as they were recorded: one connection a session, frame by frame.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Why a file cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("line {line}: {what}")]
    Line { line: usize, what: String },
    #[error("{0} cannot be reached: {1}")]
    Connect(SocketAddr, std::io::Error),
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    pub sessions: u64,
    pub frames: u64,
    /// Frames behind which the server sent something.
    pub answered: u64,
    /// Sessions that the server closed before their end.
    pub closed: u64,
}

/// Sessions of a file: JSON Lines with `frames[].wire_hex`, or lines of hex where an empty line
/// begins a new session. Frames that were recorded on UDP are left out.
///
/// # Errors
/// The first line that is neither.
pub fn sessions(text: &str) -> Result<Vec<Vec<Vec<u8>>>, ReplayError> {
    let mut all = vec![Vec::new()];
    for (n, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())) {
        if line.is_empty() {
            all.push(Vec::new());
        } else if line.starts_with('{') {
            all.push(recorded(line).map_err(|what| ReplayError::Line { line: n, what })?);
        } else {
            let wrong = |e: hex::FromHexError| ReplayError::Line {
                line: n,
                what: e.to_string(),
            };
            let frame = hex::decode(line).map_err(wrong)?;
            if let Some(session) = all.last_mut() {
                session.push(frame);
            }
        }
    }
    all.retain(|session| !session.is_empty());
    Ok(all)
}

fn recorded(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let session: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
    let frames = session["frames"].as_array().ok_or("no `frames`")?;
    let tcp = frames.iter().filter(|f| f["transport"] != "udp");
    tcp.filter_map(|f| f["wire_hex"].as_str())
        .map(|text| hex::decode(text).map_err(|e| e.to_string()))
        .collect()
}

/// Sends all sessions, one after the other, and waits `patience` for an answer to each frame.
///
/// # Errors
/// The server cannot be reached.
pub async fn send(
    sessions: &[Vec<Vec<u8>>],
    to: SocketAddr,
    patience: Duration,
) -> Result<Report, ReplayError> {
    let mut report = Report::default();
    for session in sessions {
        let connected = TcpStream::connect(to).await;
        let mut socket = connected.map_err(|e| ReplayError::Connect(to, e))?;
        report.sessions += 1;
        for frame in session {
            if socket.write_all(frame).await.is_err() {
                report.closed += 1;
                break;
            }
            report.frames += 1;
            let mut answer = [0; 1024];
            match timeout(patience, socket.read(&mut answer)).await {
                Ok(Ok(1..)) => report.answered += 1,
                Ok(Ok(0) | Err(_)) => {
                    report.closed += 1;
                    break;
                }
                Err(_) => {}
            }
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_file() {
        let text = "0f01\n02\n\n{\"frames\":[{\"wire_hex\":\"0a0b\",\"transport\":\"tcp\"},{\"wire_hex\":\"ff\",\"transport\":\"udp\"}]}\n";
        let all = sessions(text).unwrap();
        assert_eq!(all, [vec![vec![0x0f, 1], vec![2]], vec![vec![0x0a, 0x0b]]]);
        let error = sessions("0f01\nxyz\n").unwrap_err().to_string();
        assert!(error.starts_with("line 2: "), "{error}");
    }
}
