//! Writes recorded sessions as a corpus, so that a short run begins behind the checksums.
//!
//! `cargo run --example seed -- CORPUS FILE...`: each FILE holds sessions of the protocol that it is
//! named after; CORPUS gets a folder for each of them, and `auto` gets all.

use std::error::Error;
use std::path::Path;

/// First byte of an input, as `check` reads it: strict and lenient, whole streams over TCP.
const CHOICES: [u8; 2] = [0, 1];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let corpus = arguments.next().ok_or("seed CORPUS FILE...")?;
    for file in arguments {
        let file = Path::new(&file);
        let protocol = file.file_stem().and_then(|s| s.to_str()).ok_or("no name")?;
        let text = std::fs::read_to_string(file)?;
        for target in [protocol, "auto"] {
            let folder = Path::new(&corpus).join(target);
            std::fs::create_dir_all(&folder)?;
            for (n, line) in text.lines().enumerate() {
                let stream = stream(line).map_err(|e| format!("{}:{}: {e}", file.display(), n + 1))?;
                for choice in CHOICES {
                    let mut input = vec![choice];
                    input.extend_from_slice(&stream);
                    std::fs::write(folder.join(format!("{protocol}-{n}-{choice}")), input)?;
                }
            }
        }
    }
    Ok(())
}

/// The bytes of a session's frames, one behind the other.
fn stream(line: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let session: serde_json::Value = serde_json::from_str(line)?;
    let mut bytes = Vec::new();
    for frame in session["frames"].as_array().ok_or("no frames")? {
        if let Some(text) = frame["wire_hex"].as_str() {
            bytes.extend(hex::decode(text)?);
        }
    }
    Ok(bytes)
}
