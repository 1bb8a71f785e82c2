//! Sources' names that are addresses, and what in them must not be shown.

/// Whether a source's name is an address (`scheme://..`) and not a path.
pub fn is_url(name: &str) -> bool {
    let scheme = name.split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// The parts of an address that are nobody's business: user and password, and what follows `?`.
fn secrets(name: &str) -> impl Iterator<Item = &str> {
    let rest = if is_url(name) { name.split_once("://").map_or("", |(_, rest)| rest) } else { "" };
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A password may hold a slash that should have been escaped: up to the last `@` before the query.
    let user = before.rsplit_once('@').map_or("", |(user, _)| user);
    let password = user.split_once(':').map_or("", |(_, password)| password);
    [query, user, password].into_iter().filter(|secret| !secret.is_empty())
}

/// A source's name without passwords.
pub fn redacted(name: &str) -> String {
    without_secrets(name, name)
}

/// `text` without the secrets of the address `name`.
pub fn without_secrets(name: &str, text: &str) -> String {
    secrets(name).fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}
