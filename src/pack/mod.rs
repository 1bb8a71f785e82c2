//! Model packs: the manifest, the files and their hashes. See `models/` for how packs are made.
//!
//! Knows files; has never heard of a camera. Every file is untrusted: hashes are checked before anything is
//! parsed, shapes against the manifest after.
