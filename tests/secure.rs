//! The way to the broker, secured: Debian's `mosquitto` with TLS and WebSocket listeners, and certificates of every
//! good and bad sort. Without the program the tests say so and pass.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use sha2::{Digest, Sha256};
use watchword::config::{self, Pin, Tls, Transport};
use watchword::mqtt::Mqtt;

#[path = "common/broker.rs"]
mod broker;

use broker::*;

// ---- who vouches for whom

/// An authority with a folder for what it issues.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Issues `<who>.pem` and `<who>.key`; the fingerprint of the certificate, and of its key.
    fn issue(&self, who: &str, params: &CertificateParams) -> [Pin; 2] {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.file(&format!("{who}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.file(&format!("{who}.key")), key.serialize_pem()).unwrap();
        use rcgen::PublicKeyData;
        [
            Pin(Sha256::digest(certificate.der()).into()),
            Pin(Sha256::digest(key.subject_public_key_info()).into()),
        ]
    }
}

fn named(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|n| n.to_string()).collect::<Vec<_>>()).unwrap()
}

fn client() -> CertificateParams {
    let mut params = named(&[]);
    params.distinguished_name.push(DnType::CommonName, "dock-3");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// A broker whose own listener is plain, for subscribers, with one more for us.
struct Secured {
    broker: Mosquitto,
    port: u16,
}

/// With the certificate `broker.pem` of `authority`, and `more` settings of the listener.
fn secured(authority: &Authority, more: &str) -> Secured {
    let folder = authority.folder.path().display();
    let broker = Mosquitto::start(&format!(
        "allow_anonymous true\nlistener {{other}} 127.0.0.1\ncertfile {folder}/broker.pem\nkeyfile \
         {folder}/broker.key\n{more}\n"
    ));
    let port = broker.other;
    until("the second listener listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    Secured { broker, port }
}

fn over(transport: Transport, port: u16, tls: Tls) -> config::Mqtt {
    config::Mqtt { host: "localhost".into(), port: Some(port), transport, tls, ..config::Mqtt::default() }
}

fn trusting(authority: &Authority) -> Tls {
    Tls { ca_file: Some(authority.file("ca.pem").into()), ..Tls::default() }
}

#[track_caller]
fn delivers(secured: &Secured, settings: &config::Mqtt) {
    let subscriber = Subscriber::start(secured.broker.port, &[]);
    let (publisher, mqtt) = start(settings);
    publisher.event(&numbered(7));
    let seen = subscriber.up_to(is_event(7));
    assert!(seen.iter().any(|s| s.payload == "online"), "{seen:?}");
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
}

/// Tries twice at least, says once what is wrong (all of `expected`), and never lets a word of MQTT out.
#[track_caller]
fn refuses(port: u16, settings: config::Mqtt, expected: &[&str]) -> (Wiretap, Mqtt) {
    let log = Log::capture();
    let tap = Wiretap::before(port);
    let (publisher, mqtt) = start(&config::Mqtt { port: Some(tap.port), ..settings });
    publisher.event(&numbered(7));
    let about = format!("localhost:{}", tap.port);
    until("the trouble is logged", || !log.lines(&about).is_empty());
    let before = tap.connections();
    until("it was tried again", || tap.connections() > before + 2);
    let lines = log.lines(&about);
    assert_eq!(lines.len(), 1, "said once: {lines:#?}");
    for words in expected {
        assert!(lines[0].contains(words), "{words:?} is not in {}", lines[0]);
    }
    assert!(lines[0].contains("Trying on; events wait"), "{}", lines[0]);
    assert_eq!((publisher.counters().queued, publisher.counters().acked), (1, 0));
    for sent in tap.sent.lock().unwrap().iter().filter(|sent| !sent.is_empty()) {
        assert_eq!(sent[0], 22, "a connection that does not begin with a TLS handshake");
        let text = String::from_utf8_lossy(sent);
        assert!(!text.contains("MQTT") && !text.contains("watchword"), "in the clear: {text:?}");
    }
    (tap, mqtt)
}

/// Stands before a broker and notes what the client says to it.
struct Wiretap {
    port: u16,
    /// By connection.
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Wiretap {
    fn before(broker: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&sent);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(("127.0.0.1", broker)).unwrap();
                let connection = {
                    let mut all = all.lock().unwrap();
                    all.push(Vec::new());
                    all.len() - 1
                };
                let (noted, here) = (Arc::clone(&all), client.try_clone().unwrap());
                let there = server.try_clone().unwrap();
                carry(here, there, move |bytes| noted.lock().unwrap()[connection].extend(bytes));
                carry(server, client, |_| {});
            }
        });
        Self { port, sent }
    }

    fn connections(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, note: impl Fn(&[u8]) + Send + 'static) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            note(&buffer[..read]);
            if to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        _ = to.shutdown(std::net::Shutdown::Both);
        _ = from.shutdown(std::net::Shutdown::Both);
    });
}

// ---- good

#[test]
fn an_authority_of_our_own_is_trusted() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["localhost"]));
    for version in ["tlsv1.2", "tlsv1.3"] {
        let secured = secured(&authority, &format!("tls_version {version}"));
        delivers(&secured, &over(Transport::Tls, secured.port, trusting(&authority)));
    }
}

#[test]
fn a_broker_is_known_by_address_or_by_another_name_than_its_host() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["127.0.0.1", "broker.example"]));
    let secured = secured(&authority, "");
    let by_address =
        config::Mqtt { host: "127.0.0.1".into(), ..over(Transport::Tls, secured.port, trusting(&authority)) };
    delivers(&secured, &by_address);
    let by_name = Tls { server_name: Some("broker.example".into()), ..trusting(&authority) };
    delivers(&secured, &over(Transport::Tls, secured.port, by_name));
}

#[test]
fn addresses_of_the_sixth_version_are_reached_every_way() {
    need_mosquitto!();
    if TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let authority = Authority::new();
    authority.issue("broker", &named(&["::1"]));
    let folder = authority.folder.path().display();
    let tls = format!("certfile {folder}/broker.pem\nkeyfile {folder}/broker.key\n");
    let sockets = "protocol websockets\n";
    for (transport, more) in [
        (Transport::Tcp, String::new()),
        (Transport::Tls, tls.clone()),
        (Transport::Ws, sockets.into()),
        (Transport::Wss, tls + sockets),
    ] {
        let broker = Mosquitto::start(&format!("allow_anonymous true\nlistener {{other}} ::1\n{more}"));
        let port = broker.other;
        until("the second listener listens", || TcpStream::connect(("::1", port)).is_ok());
        let trust = if transport.is_encrypted() { trusting(&authority) } else { Tls::default() };
        let settings = config::Mqtt { host: "::1".into(), ..over(transport, port, trust) };
        delivers(&Secured { broker, port }, &settings);
    }
}

/// The system's store is where the environment says, so the test runs itself again in another environment.
#[test]
fn without_an_authority_of_our_own_the_systems_are_trusted() {
    const PORT: &str = "WATCHWORD_TEST_PORT";
    if let Ok(port) = std::env::var(PORT) {
        let (publisher, mqtt) = start(&over(Transport::Tls, port.parse().unwrap(), Tls::default()));
        publisher.event(&numbered(7));
        assert_eq!(mqtt.shutdown(PATIENCE), 0);
        return;
    }
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["localhost"]));
    let secured = secured(&authority, "");
    let subscriber = Subscriber::start(secured.broker.port, &[]);
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "without_an_authority_of_our_own_the_systems_are_trusted"])
        .env("SSL_CERT_FILE", authority.file("ca.pem"))
        .env(PORT, secured.port.to_string())
        .status();
    assert!(status.unwrap().success());
    subscriber.up_to(is_event(7));
}

#[test]
fn a_pinned_certificate_is_trusted_for_what_it_is_and_so_is_its_key() {
    need_mosquitto!();
    let authority = Authority::new();
    let mut expired = named(&["elsewhere"]);
    expired.not_after = date_time_ymd(2020, 1, 1);
    let pins = authority.issue("broker", &expired);
    let secured = secured(&authority, "");
    for pin in pins {
        let tls = Tls { pin_sha256: vec![Pin([0; 32]), pin], ..Tls::default() };
        delivers(&secured, &over(Transport::Tls, secured.port, tls));
    }
}

#[test]
fn a_pin_beside_an_authority_must_hold_as_well() {
    need_mosquitto!();
    let authority = Authority::new();
    let [pin, _] = authority.issue("broker", &named(&["localhost"]));
    let secured = secured(&authority, "");
    let both = Tls { pin_sha256: vec![pin], ..trusting(&authority) };
    delivers(&secured, &over(Transport::Tls, secured.port, both));
    let wrong_pin = Tls { pin_sha256: vec![Pin([0; 32])], ..trusting(&authority) };
    refuses(secured.port, over(Transport::Tls, 0, wrong_pin), &["mqtt.tls.pin_sha256"]);
    let other = Authority::new();
    let wrong_issuer = Tls { pin_sha256: vec![pin], ..trusting(&other) };
    refuses(secured.port, over(Transport::Tls, 0, wrong_issuer), &["mqtt.tls.ca_file"]);
}

#[test]
fn a_client_shows_its_certificate() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["localhost"]));
    authority.issue("client", &client());
    let ca = authority.file("ca.pem");
    let secured = secured(&authority, &format!("cafile {}\nrequire_certificate true", ca.display()));
    let tls = Tls {
        client_certificate: Some(authority.file("client.pem").into()),
        client_key: Some(authority.file("client.key").into()),
        ..trusting(&authority)
    };
    delivers(&secured, &over(Transport::Tls, secured.port, tls));
}

#[test]
fn mqtt_goes_through_a_websocket() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["localhost"]));
    let secured = secured(&authority, "protocol websockets");
    let settings = over(Transport::Wss, secured.port, trusting(&authority));
    delivers(&secured, &settings);
    delivers(&secured, &config::Mqtt { websocket_path: "/".into(), ..settings });

    let broker = Mosquitto::start("allow_anonymous true\nlistener {other} 127.0.0.1\nprotocol websockets\n");
    let port = broker.other;
    until("the second listener listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let plain = Secured { broker, port };
    delivers(&plain, &over(Transport::Ws, port, Tls::default()));
}

#[test]
fn protocols_are_offered_by_alpn() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["localhost"]));
    let secured = secured(&authority, "");
    let tap = Wiretap::before(secured.port);
    let tls = Tls { alpn: vec!["x-amzn-mqtt-ca".into(), "mqtt".into()], ..trusting(&authority) };
    delivers(&secured, &over(Transport::Tls, tap.port, tls));
    let sent = tap.sent.lock().unwrap();
    // RFC 7301: each protocol after its length.
    let hello: Vec<u8> = sent.iter().flatten().copied().collect();
    assert!(hello.windows(20).any(|bytes| bytes == b"\x0ex-amzn-mqtt-ca\x04mqtt"));
}

// ---- bad

#[test]
fn a_broker_that_nobody_vouches_for_is_refused() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["localhost"]));
    let secured = secured(&authority, "");
    let other = Authority::new();
    let stranger = trusting(&other);
    refuses(secured.port, over(Transport::Tls, 0, stranger.clone()), &["signed", "set mqtt.tls.ca_file"]);
    // The system's authorities do not know it either.
    refuses(secured.port, over(Transport::Tls, 0, Tls::default()), &["set mqtt.tls.ca_file"]);
    refuses(secured.port, over(Transport::Wss, 0, stranger), &["set mqtt.tls.ca_file"]);
}

#[test]
fn certificates_of_another_time_are_refused_with_their_dates() {
    need_mosquitto!();
    for (before, after, words) in [
        ((2019, 1), (2020, 1), ["expired on 2020-01-01", "set this box's clock"]),
        ((2090, 1), (2091, 1), ["not valid before 2090-01-01", "set this box's clock"]),
    ] {
        let authority = Authority::new();
        let mut params = named(&["localhost"]);
        params.not_before = date_time_ymd(before.0, before.1, 1);
        params.not_after = date_time_ymd(after.0, after.1, 1);
        authority.issue("broker", &params);
        let secured = secured(&authority, "");
        refuses(secured.port, over(Transport::Tls, 0, trusting(&authority)), &words);
    }
}

#[test]
fn a_certificate_for_another_host_is_refused_with_both_names() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["broker.example"]));
    let secured = secured(&authority, "");
    let words = ["not for localhost", "broker.example", "mqtt.tls.server_name"];
    refuses(secured.port, over(Transport::Tls, 0, trusting(&authority)), &words);
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused_and_named() {
    need_mosquitto!();
    let authority = Authority::new();
    let [shown, _] = authority.issue("broker", &named(&["localhost"]));
    let secured = secured(&authority, "");
    let tls = Tls { pin_sha256: vec![Pin([7; 32])], ..Tls::default() };
    let words = [&shown.to_string(), "somebody is between you and the broker"];
    refuses(secured.port, over(Transport::Tls, 0, tls), &words);
}

#[test]
fn a_missing_or_unwelcome_certificate_of_ours_is_named_and_a_renewed_one_counts_at_once() {
    need_mosquitto!();
    for version in ["tlsv1.2", "tlsv1.3"] {
        let authority = Authority::new();
        authority.issue("broker", &named(&["localhost"]));
        let ca = authority.file("ca.pem");
        let secured = secured(
            &authority,
            &format!("cafile {}\nrequire_certificate true\ntls_version {version}", ca.display()),
        );
        let words = ["mqtt.tls.client_certificate and mqtt.tls.client_key"];
        refuses(secured.port, over(Transport::Tls, 0, trusting(&authority)), &words);

        let other = Authority::new();
        other.issue("client", &client());
        for name in ["client.pem", "client.key"] {
            std::fs::copy(other.file(name), authority.file(name)).unwrap();
        }
        let tls = Tls {
            client_certificate: Some(authority.file("client.pem").into()),
            client_key: Some(authority.file("client.key").into()),
            ..trusting(&authority)
        };
        let words = ["does not accept our certificate"];
        let (_tap, mqtt) = refuses(secured.port, over(Transport::Tls, 0, tls), &words);
        authority.issue("client", &client());
        assert_eq!(mqtt.shutdown(PATIENCE), 0, "delivered with the new certificate");
    }
}

#[test]
fn a_file_that_goes_bad_while_running_is_named_and_mended() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["localhost"]));
    let mut secured = secured(&authority, "");
    let log = Log::capture();
    let (publisher, mqtt) = start(&over(Transport::Tls, secured.port, trusting(&authority)));
    until("it is connected", || publisher.counters().connected);
    let ca = std::fs::read(authority.file("ca.pem")).unwrap();
    std::fs::write(authority.file("ca.pem"), "half a file").unwrap();
    secured.broker.stop();
    secured.broker.restart();
    publisher.event(&numbered(1));
    let about = format!("localhost:{}", secured.port);
    until("it is named", || log.lines(&about).iter().any(|line| line.contains("mqtt.tls.ca_file")));
    let lines = log.lines(&about);
    let line = lines.iter().find(|line| line.contains("mqtt.tls.ca_file")).unwrap();
    assert!(line.contains("it must be a PEM file with certificates"), "{line}");
    std::fs::write(authority.file("ca.pem"), ca).unwrap();
    assert_eq!(mqtt.shutdown(PATIENCE), 0);
}

#[test]
fn files_that_are_bad_from_the_start_are_named_before_anything_runs() {
    let authority = Authority::new();
    authority.issue("client", &client());
    authority.issue("other", &client());
    let complaint = |tls: Tls| {
        let settings = over(Transport::Tls, 1, tls);
        Mqtt::start(&settings, origin(), clock()).err().expect("started").to_string()
    };
    let file = |name: &str| Some(authority.file(name).into());
    let ca = complaint(Tls { ca_file: file("client.key"), ..Tls::default() });
    assert!(ca.contains("mqtt.tls.ca_file") && ca.contains("PEM file with certificates"), "{ca}");
    let (client_certificate, client_key) = (file("client.pem"), file("missing"));
    let missing = complaint(Tls { client_certificate, client_key, ..Tls::default() });
    assert!(missing.contains("mqtt.tls.client_key") && missing.contains("No such file"), "{missing}");
    let (client_certificate, client_key) = (file("client.pem"), file("other.key"));
    let strangers = complaint(Tls { client_certificate, client_key, ..Tls::default() });
    assert!(strangers.contains("do they belong together?"), "{strangers}");
    let name = complaint(Tls { server_name: Some("no name".into()), ..Tls::default() });
    assert!(name.contains("mqtt.tls.server_name \"no name\""), "{name}");
}

#[test]
fn tls_to_a_plain_port_and_the_other_way_round_say_so() {
    need_mosquitto!();
    let plain = Mosquitto::start("allow_anonymous true\n");
    let words = ["does not speak TLS on this port"];
    refuses(plain.port, over(Transport::Tls, 0, Tls::default()), &words);
    refuses(plain.port, over(Transport::Wss, 0, Tls::default()), &words);

    let authority = Authority::new();
    authority.issue("broker", &named(&["localhost"]));
    let secured = secured(&authority, "");
    let said = |transport, port| {
        let log = Log::capture();
        let (_, mqtt) = start(&over(transport, port, Tls::default()));
        let about = format!("localhost:{port}");
        until("it is said", || log.lines(&about).iter().any(|line| line.contains("cannot reach")));
        drop(mqtt);
        log.lines(&about).concat()
    };
    let line = said(Transport::Tcp, secured.port);
    assert!(line.contains("set mqtt.transport = \"tls\""), "{line}");
    let line = said(Transport::Ws, plain.port);
    assert!(line.contains("no WebSocket for MQTT there"), "{line}");
}

#[test]
fn anybody_is_accepted_only_by_the_key_that_says_so_and_never_silently() {
    need_mosquitto!();
    let authority = Authority::new();
    authority.issue("broker", &named(&["elsewhere"]));
    let secured = secured(&authority, "");
    let log = Log::capture();
    let tls = Tls { danger_accept_any_certificate: true, ..Tls::default() };
    delivers(&secured, &over(Transport::Tls, secured.port, tls.clone()));
    delivers(&secured, &over(Transport::Tls, secured.port, tls));
    let lines = log.lines(&format!("localhost:{}", secured.port));
    let warned = lines.iter().filter(|l| l.contains("WARN") && l.contains("danger_accept_any_certificate"));
    assert_eq!(warned.count(), 2, "at every connection: {lines:#?}");
}

/// A man in the middle who shows the broker's certificate but does not have its key.
#[test]
fn a_pinned_certificate_without_its_key_is_worth_nothing() {
    let authority = Authority::new();
    let [pin, _] = authority.issue("broker", &named(&["localhost"]));
    authority.issue("thief", &named(&["localhost"]));
    let chain = vec![certificate(&authority, "broker")];
    let key = key(&authority, "thief");
    let server = impostor(chain, key);
    let log = Log::capture();
    let tls = Tls { pin_sha256: vec![pin], ..Tls::default() };
    let (publisher, _mqtt) = start(&over(Transport::Tls, server.port(), tls));
    let about = format!("localhost:{}", server.port());
    until("it is logged", || !log.lines(&about).is_empty());
    assert!(!publisher.counters().connected);
    assert!(log.lines(&about)[0].contains("BadSignature"), "{:?}", log.lines(&about));
}

fn certificate(authority: &Authority, who: &str) -> rustls::pki_types::CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    PemObject::from_pem_file(authority.file(&format!("{who}.pem"))).unwrap()
}

fn key(authority: &Authority, who: &str) -> rustls::pki_types::PrivateKeyDer<'static> {
    use rustls::pki_types::pem::PemObject;
    PemObject::from_pem_file(authority.file(&format!("{who}.key"))).unwrap()
}

/// A TLS server that signs with `key` whatever `chain` says; it never gets further than the handshake.
fn impostor(
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: rustls::pki_types::PrivateKeyDer<'static>,
) -> SocketAddr {
    #[derive(Debug)]
    struct Shown(Arc<rustls::sign::CertifiedKey>);
    impl rustls::server::ResolvesServerCert for Shown {
        fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<rustls::sign::CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let signer = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let shown = Shown(Arc::new(rustls::sign::CertifiedKey::new(chain, signer)));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            _ = connection.complete_io(&mut stream);
        }
    });
    address
}
