//! Passwords, of which only the Argon2id hash is kept.

use argon2::Argon2;
use argon2::password_hash::{self, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};

/// The longest that is looked at, bytes.
pub const MOST: usize = 1024;

/// The hash of `password` as a file is to hold it, with a salt of its own: Argon2id, 19 MiB, two passes (OWASP's
/// recommendation, and the crate's default).
///
/// # Errors
/// None that a password of at most [`MOST`] bytes can cause.
pub fn hash(password: &str) -> Result<String, password_hash::Error> {
    let salt = SaltString::encode_b64(&rand::random::<[u8; 16]>())?;
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string())
}

/// Whether `password` is the one that `hash` was made of. Takes long, and as much memory as the hash says.
///
/// # Errors
/// If `hash` is none.
pub(super) fn verify(password: &str, hash: &str) -> Result<bool, password_hash::Error> {
    match Argon2::default().verify_password(password.as_bytes(), &PasswordHash::new(hash)?) {
        Ok(()) => Ok(true),
        Err(password_hash::Error::Password) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let hashes = [hash("correct horse").unwrap(), hash("correct horse").unwrap()];
        assert_ne!(hashes[0], hashes[1], "each has its own salt");
        assert!(hashes[0].starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hashes[0]);
        assert_eq!(verify("correct horse", &hashes[0]), Ok(true));
        assert_eq!(verify("correct horse ", &hashes[0]), Ok(false));
        assert!(verify("correct horse", "correct horse").is_err());
    }
}
