//! A text cut at its line ends, so that its parts can be read side by side.

/// What is shorter is not worth a part of its own.
const SHORTEST: usize = 256 * 1024;

/// The parts, each with the number of its first line; that of the text is `first`.
pub(super) fn numbered(text: &str, first: usize, most: usize) -> Vec<(usize, &str)> {
    let mut begins = first;
    let number = |part: &str| {
        let number = begins;
        begins += part.bytes().filter(|b| *b == b'\n').count();
        number
    };
    let parts = cut(text, most);
    let numbers: Vec<usize> = parts.iter().copied().map(number).collect();
    numbers.into_iter().zip(parts).collect()
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
        let text = line.repeat(50_000);
        let [(2, first), (at, _)] = numbered(&text, 2, 2)[..] else {
            panic!("two parts");
        };
        assert_eq!(at, 2 + first.lines().count());
    }
}
