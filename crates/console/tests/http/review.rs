//! Decisions, their conflicts, their history, and the evidence.

use crate::fixture::{Answer, Fixture, T0, bearer, overspeed, records};
use serde_json::json;
use sha2::{Digest, Sha256};
use waywarden_model::Timestamp;
use waywarden_store::{Batch, Role};

fn decide(f: &Fixture, token: &str, id: &str, decision: &str, revision: u32) -> Answer {
    let body = json!({ "decision": decision, "reason": "seen on the track", "revision": revision });
    let path = format!("/api/v1/violations/{id}/reviews");
    f.send(
        "POST",
        &path,
        &[("authorization", &bearer(token))],
        Some(&body),
    )
}

#[test]
fn the_second_of_two_is_told_and_the_history_kept() {
    let f = Fixture::new();
    let (a, b) = (f.token(Role::Operator), f.token(Role::Operator));
    f.file(vec![overspeed(5)]);
    let id = overspeed(5).id().to_string();
    let first = decide(&f, &a, &id, "confirm", 1);
    assert_eq!(
        (first.status, &first.json()["status"]),
        (201, &"confirmed".into())
    );
    let second = decide(&f, &b, &id, "dismiss", 1);
    assert_eq!(second.status, 409);
    let told = second.json();
    assert_eq!(told["current"]["review"]["decision"], "confirmed");
    assert_eq!(told["current"]["review"]["at"], "2026-03-10T02:00:00Z");
    let name = f.get("/api/v1/session", &a).json()["name"].clone();
    assert_eq!(told["current"]["review"]["by"], name);
    // Decided again, on the newest revision.
    assert_eq!(decide(&f, &b, &id, "dismiss", 2).status, 201);
    let detail = f.get(&format!("/api/v1/violations/{id}"), &a).json();
    assert_eq!(
        (&detail["status"], &detail["revision"]),
        (&"dismissed".into(), &3.into())
    );
    assert_eq!(detail["reviews"].as_array().unwrap().len(), 2);
    let kinds: Vec<&str> = detail["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["created", "decided", "decided"]);
}

#[test]
fn of_many_at_once_exactly_one_decides() {
    let f = Fixture::new();
    f.file(vec![overspeed(5)]);
    let id = overspeed(5).id().to_string();
    let tokens: Vec<String> = (0..6).map(|_| f.token(Role::Operator)).collect();
    let answers: Vec<u16> = std::thread::scope(|s| {
        let threads: Vec<_> = tokens
            .iter()
            .map(|t| s.spawn(|| decide(&f, t, &id, "confirm", 1).status))
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(
        answers.iter().filter(|s| **s == 201).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|s| **s == 409).count(),
        5,
        "{answers:?}"
    );
}

#[test]
fn what_cannot_be_decided() {
    let f = Fixture::new();
    let token = f.token(Role::Operator);
    let mut open = overspeed(5);
    open.open = true;
    f.file(vec![open.clone()]);
    let id = open.id().to_string();
    let got = decide(&f, &token, &id, "confirm", 1);
    assert_eq!(
        (got.status, &got.json()["error"]),
        (409, &"still_open".into())
    );
    assert_eq!(decide(&f, &token, &id, "perhaps", 1).status, 400);
    assert_eq!(
        decide(&f, &token, &"0".repeat(32), "confirm", 1).status,
        404
    );
    let path = format!("/api/v1/violations/{id}/reviews");
    let auth = bearer(&token);
    for body in [
        json!({ "decision": "confirm", "reason": "  ", "revision": 1 }),
        json!({ "decision": "confirm", "revision": 1 }),
        json!({ "decision": "confirm", "reason": "x", "revision": 1, "more": 1 }),
    ] {
        let got = f.send("POST", &path, &[("authorization", &auth)], Some(&body));
        assert_eq!(got.status, 400, "{body}");
    }
}

#[test]
fn evidence_has_the_hash_of_its_bytes() {
    let f = Fixture::new();
    f.commit(Batch {
        sources: vec![records(40)],
        records_read: 40,
        violations: vec![overspeed(5)],
        now: Timestamp::from_millis(T0),
        log: "test".into(),
        ..Batch::default()
    });
    let id = overspeed(5).id().to_string();
    let text = f
        .get(&format!("/api/v1/violations/{id}"), &f.token(Role::Agency))
        .text;
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    let evidence = &whole["evidence"];
    assert_eq!(evidence["body"]["records"].as_array().unwrap().len(), 21);
    assert_eq!(evidence["body"]["frames"][0]["raw_hex"], "cafe");
    // The bytes as they stand in the answer, cut out by hand.
    let begin = text.find("\"body\":").unwrap() + 7;
    let end = text.find("},\"changes\":").unwrap();
    let hash = hex::encode(Sha256::digest(&text.as_bytes()[begin..end]));
    assert_eq!(evidence["sha256"], hash);
}
