//! How MQTT travels: what goes together, what gives a secret away, and whether the files are there.

use super::is_loopback;
use super::secret::file;
use crate::config::report::Report;
use crate::config::{BrokerKind, KeyPath, Mqtt, Tls, Transport};

/// What is wrong with the way to the broker in itself.
pub(super) fn transport(mqtt: &Mqtt, path: &KeyPath, report: &mut Report) {
    let transport = path.key("transport");
    if mqtt.broker == BrokerKind::Embedded && mqtt.transport != Transport::Tcp {
        let message =
            "the embedded broker speaks plain MQTT only; leave transport out, or use a broker of your own";
        report.error(&transport, message);
    }
    let port = path.key("port");
    if mqtt.transport.is_encrypted() && mqtt.port == Some(Transport::Tcp.usual_port()) {
        report.warning(&port, "1883 is the port for MQTT without TLS; the one with TLS is usually 8883");
    }
    if mqtt.transport.is_websocket() && !mqtt.websocket_path.starts_with('/') {
        let message = format!("{:?} is no path; write one such as \"/mqtt\"", mqtt.websocket_path);
        report.error(&path.key("websocket_path"), message);
    }
    let has_password = mqtt.password_file.is_some();
    let is_far = mqtt.broker == BrokerKind::External && !is_loopback(&mqtt.host);
    if has_password && is_far && !mqtt.transport.is_encrypted() {
        let message = format!(
            "the password goes to {} in the clear, for everybody on the way to read; set mqtt.transport = \"tls\"",
            mqtt.host
        );
        report.warning(&path.key("password_file"), message);
    }
    tls(&mqtt.tls, mqtt.transport, &path.key("tls"), report);
}

fn tls(tls: &Tls, transport: Transport, path: &KeyPath, report: &mut Report) {
    if !transport.is_encrypted() && *tls != Tls::default() {
        let message =
            "mqtt.tls is set, but mqtt.transport does not use it; set mqtt.transport = \"tls\" (or \"wss\")";
        report.error(path, message);
    }
    let (certificate, key) = (path.key("client_certificate"), path.key("client_key"));
    match (&tls.client_certificate, &tls.client_key) {
        (Some(_), None) => report.error(&certificate, "a certificate needs its key; set mqtt.tls.client_key"),
        (None, Some(_)) => {
            report.error(&key, "a key needs its certificate; set mqtt.tls.client_certificate");
        }
        _ => {}
    }
    for (i, protocol) in tls.alpn.iter().enumerate() {
        // RFC 7301, 3.1: one byte holds the length.
        if protocol.is_empty() || protocol.len() > 255 {
            let message = "a protocol's name has 1 to 255 bytes, such as \"mqtt\"";
            report.error(&path.key("alpn").index(i), message);
        }
    }
    if tls.server_name.as_ref().is_some_and(|name| name.trim().is_empty()) {
        let message = "blank; write the name in the broker's certificate, or leave it out";
        report.error(&path.key("server_name"), message);
    }
    let danger = path.key("danger_accept_any_certificate");
    if tls.danger_accept_any_certificate && (tls.ca_file.is_some() || !tls.pin_sha256.is_empty()) {
        let message = "contradicts mqtt.tls.ca_file and mqtt.tls.pin_sha256; take it out, or them";
        report.error(&danger, message);
    } else if tls.danger_accept_any_certificate {
        let message = "anybody on the way can be the broker, read everything and the password; for a broker with a \
                       certificate of its own set mqtt.tls.pin_sha256 instead";
        report.warning(&danger, message);
    }
}

/// Files that the transport needs and that cannot be read, and secrets that everybody can read.
pub(super) fn files(mqtt: &Mqtt, report: &mut Report) {
    let path = KeyPath::default().key("mqtt");
    let tls = path.key("tls");
    let remedy = "write the password into it, readable for watchword's user alone";
    file(report, &path.key("password_file"), mqtt.password_file.as_ref(), remedy, true);
    let remedy = "put the PEM file there, or correct the path";
    for (key, named, is_secret) in [
        ("ca_file", &mqtt.tls.ca_file, false),
        ("client_certificate", &mqtt.tls.client_certificate, false),
        ("client_key", &mqtt.tls.client_key, true),
    ] {
        file(report, &tls.key(key), named.as_ref(), remedy, is_secret);
    }
}
