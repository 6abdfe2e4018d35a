//! `waywarden decode` as its user calls it.

#![allow(clippy::unwrap_used)] // in a test what fails to unwrap has failed

use std::io::Write;
use std::process::{Command, Stdio};

fn decode(args: &[&str], input: &str) -> (Option<i32>, Vec<serde_json::Value>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_waywarden"))
        .arg("decode")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses its arguments reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let done = child.wait_with_output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    let lines = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    (
        done.status.code(),
        lines,
        String::from_utf8(done.stderr).unwrap(),
    )
}

/// The example of Teltonika's own description of Codec 8, with its log-in.
const LOG_IN: &str = "000f333536333037303432343431303133";
const PACKET: &str = "000000000000003608010000016b40d8ea30010000000000000000000000000000000105021503010101425e0f01f10000601a014e0000000000000000010000c7cf";

#[test]
fn a_session_of_teltonika() {
    let (code, lines, _) = decode(&["teltonika"], &format!("{LOG_IN}\n{PACKET}\n"));
    assert_eq!(code, Some(0));
    assert_eq!(
        lines[0]["device_ids"],
        serde_json::json!(["356307042441013"])
    );
    assert_eq!(lines[0]["replies_hex"], serde_json::json!(["01"]));
    assert_eq!(lines[1]["replies_hex"], serde_json::json!(["00000001"]));
    assert_eq!(lines[1]["records"][0]["time"], "2019-06-10T10:04:46.000Z");
    assert_eq!(lines[1]["records"][0]["external_voltage"], 24.079);
}

#[test]
fn an_empty_line_begins_a_new_session() {
    let (_, lines, _) = decode(&["teltonika"], &format!("{LOG_IN}\n\n{PACKET}\n"));
    assert!(
        lines[1]["error"].is_object(),
        "data before log-in: {}",
        lines[1]
    );
    assert_eq!(lines[1]["replies_hex"], serde_json::json!([]));
}

#[test]
fn a_wrong_checksum_is_refused_unless_asked_for() {
    let bad = PACKET.replace("c7cf", "c7ce");
    let input = format!("{LOG_IN}\n{bad}\n");
    let (_, lines, _) = decode(&["teltonika"], &input);
    assert_eq!(lines[1]["error"]["label"], "bad_checksum");
    let (_, lines, _) = decode(&["teltonika", "--lenient-checksums"], &input);
    assert_eq!(lines[1]["records"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_not_spoken_is_said() {
    let (code, _, text) = decode(&["morse"], "");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("`morse`") && text.contains("teltonika, gt06"),
        "{text}"
    );
    let (code, _, text) = decode(&["gt06"], "7878zz\n");
    assert!(code == Some(1) && text.contains("line 1"), "{text}");
}
