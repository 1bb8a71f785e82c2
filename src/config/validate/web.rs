//! The box's own page: what goes together, that nobody gets in unasked, and whether the files are there.

use super::secret::file;
use crate::config::report::Report;
use crate::config::{KeyPath, Web};

/// Every Argon2 hash begins so.
const HASH: &str = "$argon2";

/// What is wrong with the page's settings in themselves.
pub(super) fn web(web: &Web, report: &mut Report) {
    let path = KeyPath::default().key("web");
    let address = path.key("address");
    let is_far = match web.address() {
        Ok(address) => !address.ip().is_loopback(),
        Err(_) => {
            let message = format!(
                "{:?} is no IP address and port; write \"127.0.0.1:8480\" for this box alone, \"0.0.0.0:8480\" for \
                 its networks, \"[::]:8480\" for IPv6 as well",
                web.address
            );
            return report.error(&address, message);
        }
    };
    if web.enabled && web.needs_login() && web.password_file.is_none() && web.token_file.is_none() {
        let message = "nobody could log in: set web.password_file (`watchword web password` makes its content) or \
                       web.token_file, or listen on 127.0.0.1";
        let place = if is_far { address.clone() } else { path.key("login") };
        report.error(&place, message);
    }
    match (&web.certificate, &web.key) {
        (Some(_), None) => {
            report.error(&path.key("certificate"), "a certificate needs its key; set web.key");
        }
        (None, Some(_)) => {
            report.error(&path.key("key"), "a key needs its certificate; set web.certificate");
        }
        (None, None) if web.enabled && is_far => {
            let message = "the password and the pictures go over the network in the clear; set web.certificate and \
                           web.key, or put a proxy with TLS before it";
            report.warning(&address, message);
        }
        _ => {}
    }
    for (i, host) in web.hosts.iter().enumerate() {
        if host.is_empty() || host.contains(|c: char| !(c.is_ascii_alphanumeric() || "-._".contains(c))) {
            let message =
                format!("{host:?} is no name of a host; write it without http:// and port: \"dock-3.lan\"");
            report.error(&path.key("hosts").index(i), message);
        }
    }
}

/// Files that the page needs and that cannot be read, and secrets that everybody can read.
pub(super) fn files(web: &Web, report: &mut Report) {
    if !web.enabled {
        return;
    }
    let path = KeyPath::default().key("web");
    for (key, named, remedy, is_secret) in [
        ("password_file", &web.password_file, "write into it what `watchword web password` prints", true),
        ("token_file", &web.token_file, "write 16 characters or more into it that nobody can guess", true),
        ("certificate", &web.certificate, "put the PEM file there, or correct the path", false),
        ("key", &web.key, "put the PEM file there, or correct the path", true),
    ] {
        file(report, &path.key(key), named.as_ref(), remedy, is_secret);
    }
    let password =
        web.password_file.as_ref().and_then(|file| std::fs::read_to_string(file.path().ok()?).ok());
    if password.is_some_and(|text| !text.starts_with(HASH)) {
        let message =
            "it holds no hash of a password; `watchword web password` asks for one and prints its hash";
        report.error(&path.key("password_file"), message);
    }
}
