//! A text cut at its line ends, so that its parts are read side by side.

use super::{InputError, Records};
use std::num::NonZero;

/// What is shorter is not worth a thread.
const SHORTEST: usize = 256 * 1024;

/// Reads all parts of `text`, whose first line is the `first`; of a source the records are in its
/// order.
///
/// # Errors
/// The first of the text, by its line there.
pub(super) fn read(
    text: &str,
    first: usize,
    may_cut: bool,
    read: impl Fn(&str) -> Result<Records, InputError> + Sync,
) -> Result<Records, InputError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let parts = match may_cut {
        true => cut(text, cores),
        false => vec![text],
    };
    let found: Vec<Result<Records, InputError>> = std::thread::scope(|scope| {
        let read = &read;
        let threads: Vec<_> = parts
            .iter()
            .map(|part| scope.spawn(move || read(part)))
            .collect();
        let joined = threads.into_iter().map(|t| {
            // A panic goes on where it would have been without threads.
            t.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        joined.collect()
    });
    let mut all = Records::new();
    let mut begins = first;
    for (part, found) in parts.iter().zip(found) {
        match found {
            Ok(records) if all.is_empty() => all = records,
            Ok(records) => {
                for (source, mut records) in records {
                    all.entry(source).or_default().append(&mut records);
                }
            }
            Err(error) => {
                let line = begins + error.line - 1;
                return Err(InputError { line, ..error });
            }
        }
        begins += part.bytes().filter(|b| *b == b'\n').count();
    }
    Ok(all)
}

/// At least one part, and up to `most`, all but the last ending with a line.
fn cut(text: &str, most: usize) -> Vec<&str> {
    let most = most.min(text.len() / SHORTEST).max(1);
    let (mut parts, mut rest) = (Vec::with_capacity(most), text);
    for left in (2..=most).rev() {
        let at = rest.len() / left;
        let Some(end) = rest.as_bytes()[at..].iter().position(|b| *b == b'\n') else {
            break;
        };
        let (part, behind) = rest.split_at(at + end + 1);
        parts.push(part);
        rest = behind;
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_the_text_and_end_with_lines() {
        let line = "á line that is not long, and has letters of two bytes: ăâđêôơư\n";
        for times in [0, 1, 5_000, 50_001] {
            let text = line.repeat(times) + "the end";
            for most in [1, 2, 3, 7] {
                let parts = cut(&text, most);
                assert_eq!(parts.concat(), text);
                assert!(parts.len() <= most);
                let (_, all_but_last) = parts.split_last().unwrap();
                assert!(all_but_last.iter().all(|part| part.ends_with('\n')));
            }
        }
        assert!(cut(&line.repeat(50_000), 2).len() == 2);
    }
}
