//! Driver card messages 0x0702 (clause 8.32 of 2013, 8.40 of 2019, and their form of 2011).

use super::frame::Wrong;
use super::location::Context;
use super::parameters::text;
use crate::cursor::Cursor;
use crate::session::{FrameErrorKind, Reading};
use waywarden_model::{DriverSaid, Record, RecordKind};

/// Length of the number of the certificate since 2013.
const CERTIFICATE: usize = 20;
/// Lengths of the identity number and of the certificate in 2011.
const IDENTITY_2011: usize = 20;
const CERTIFICATE_2011: usize = 40;

/// The number of the certificate is taken as the number of the driving licence: in Vietnam the
/// card holds nothing else (TT 71/2024). The driver's name is not kept.
pub fn read(body: &[u8], ctx: &Context) -> Result<Reading, Wrong> {
    if let Some(licence) = form_of_2011(body) {
        let record = Record::status(ctx.now).of_kind(RecordKind::CardIn);
        return Ok(Reading::Untimed(with_licence(record, licence)));
    }
    let mut c = Cursor::new(body);
    let status = c.u8()?;
    let time = ctx.time(&mut c)?;
    let record = Record::status(time);
    match status {
        1 => card_in(record, &mut c).map(Reading::Timed),
        2 => {
            let mut record = record.of_kind(RecordKind::CardOut);
            record.driver = DriverSaid::Nobody;
            Ok(Reading::Timed(record))
        }
        _ => {
            let what = "state of the driver card";
            Err(Wrong::new(FrameErrorKind::BadValue, what, 0))
        }
    }
}

fn card_in(record: Record, c: &mut Cursor<'_>) -> Result<Record, Wrong> {
    let record = record.of_kind(RecordKind::CardIn);
    // Not 0: the card was not read, locked, taken out too early or wrong.
    if c.u8()? != 0 {
        return Ok(record);
    }
    let name = usize::from(c.u8()?);
    c.skip(name)?;
    Ok(with_licence(record, c.take(CERTIFICATE)?))
}

fn with_licence(mut record: Record, licence: &[u8]) -> Record {
    let licence = text(licence);
    if !licence.is_empty() {
        record.driver = DriverSaid::Licence(licence.as_str().into());
    }
    record
}

/// Name, identity number, certificate and agency, with neither state nor time; told apart by the
/// lengths, which fit to the byte.
fn form_of_2011(body: &[u8]) -> Option<&[u8]> {
    let name = usize::from(*body.first()?);
    let certificate = 1 + name + IDENTITY_2011;
    let agency = certificate + CERTIFICATE_2011;
    let fits = agency + 1 + usize::from(*body.get(agency)?) == body.len();
    fits.then(|| body.get(certificate..agency)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use waywarden_model::Timestamp;

    const CTX: Context = Context {
        now: Timestamp::from_secs(0),
        offset_s: 7 * 3600,
        doors: false,
    };

    fn body(head: &str, parts: &[&[u8]]) -> Vec<u8> {
        let mut body = hex::decode(head).unwrap();
        parts.iter().for_each(|p| body.extend_from_slice(p));
        body
    }

    #[test]
    fn card_in_and_out() {
        let number: &[u8] = b"014098000123\0\0\0\0\0\0\0\0";
        let card_in = body(
            "0126031008000500",
            &[b"\x09LAI XE 01", number, b"\x02QN", &[0x20, 0x30, 1, 1]],
        );
        let reading = read(&card_in, &CTX).unwrap();
        let r = reading.record();
        assert!(matches!(reading, Reading::Timed(_)));
        assert_eq!(r.kind, RecordKind::CardIn);
        assert_eq!(r.time.to_string(), "2026-03-10T01:00:05Z");
        assert_eq!(r.driver, DriverSaid::Licence("014098000123".into()));

        let out = read(&body("02260310090000", &[]), &CTX).unwrap();
        assert_eq!(out.record().kind, RecordKind::CardOut);
        assert_eq!(out.record().driver, DriverSaid::Nobody);
    }

    #[test]
    fn a_card_that_was_not_read_says_nothing() {
        let r = read(&body("0126031008000501", &[]), &CTX).unwrap();
        assert_eq!(r.record().kind, RecordKind::CardIn);
        assert_eq!(r.record().driver, DriverSaid::NotSaid);
    }

    #[test]
    fn the_form_of_2011_has_no_time() {
        let mut certificate = [0; CERTIFICATE_2011];
        certificate[..12].copy_from_slice(b"014098000123");
        let body = body(
            "",
            &[
                b"\x09LAI XE 01",
                &[b'0'; IDENTITY_2011],
                &certificate,
                b"\x02QN",
            ],
        );
        let reading = read(&body, &CTX).unwrap();
        assert!(matches!(reading, Reading::Untimed(_)));
        assert_eq!(
            reading.record().driver,
            DriverSaid::Licence("014098000123".into())
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let kind = |body: &[u8]| read(body, &CTX).unwrap_err().kind;
        assert_eq!(
            kind(&body("0326031008000500", &[])),
            FrameErrorKind::BadValue
        );
        assert_eq!(
            kind(&body("0126131008000500", &[])),
            FrameErrorKind::BadValue
        );
        assert_eq!(
            kind(&body("0126031008000500", &[b"\x09LAI"])),
            FrameErrorKind::Truncated
        );
        assert_eq!(kind(&[]), FrameErrorKind::Truncated);
    }
}
