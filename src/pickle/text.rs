//! The escapes of protocol 0, in which everything is a line of text.

/// The bytes of a Python 2 string literal: `'it\'s\x00'`.
pub fn literal(line: &str) -> Option<Vec<u8>> {
    let quote = line.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    let inner = line.strip_prefix(quote)?.strip_suffix(quote)?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            // Written by `repr`: what is not ASCII is escaped.
            bytes.push(u8::try_from(letter).ok()?);
            continue;
        }
        bytes.push(match rest.next()? {
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'x' => u8::try_from(digits(&mut rest, 2)?).ok()?,
            same @ ('\\' | '\'' | '"') => same as u8,
            _ => return None,
        });
    }
    Some(bytes)
}

/// The text of a line in "raw-unicode-escape": Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub fn unescaped(line: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(line.len());
    let mut rest = line.iter().map(|byte| char::from(*byte));
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        let count = match rest.next() {
            Some('u') => 4,
            Some('U') => 8,
            other => {
                text.push('\\');
                text.extend(other);
                continue;
            }
        };
        text.push(char::from_u32(digits(&mut rest, count)?)?);
    }
    Some(text)
}

fn digits(rest: &mut impl Iterator<Item = char>, count: usize) -> Option<u32> {
    (0..count).try_fold(0u32, |value, _| Some(value << 4 | rest.next()?.to_digit(16)?))
}
