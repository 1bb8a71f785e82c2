//! Against a host that behaves as the model hub does: large files are named by their SHA-256 and sent on to another place,
//! parts of files can be asked for, and connections break.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::*;
use crate::pack::architecture::{Recipe, TINYCLIP_VIT_8M_16};
use crate::pack::{RandomPack, make_random};

const TINY: Known = Known {
    name: "tiny",
    clip: TINYCLIP_VIT_8M_16,
    space: "tiny",
    license: "MIT",
    repository: "somebody/tiny",
    revision: "main",
};

/// What the host has, and how it behaves.
#[derive(Default)]
struct Host {
    files: HashMap<String, Vec<u8>>,
    /// Connections are cut after so many bytes of a body, so often.
    cut: (usize, usize),
    /// Instead of the file, so often.
    unavailable: usize,
    /// What is sent is not what is declared.
    lies: bool,
    /// Paths that were asked for, with the byte from which on.
    asked: Vec<(String, usize)>,
}

#[derive(Clone)]
struct Server {
    host: Arc<Mutex<Host>>,
    base: String,
}

impl Server {
    fn start(files: HashMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { host: Arc::new(Mutex::new(Host { files, ..Host::default() })), base };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.answer(stream));
            }
        });
        server
    }

    fn host(&self) -> std::sync::MutexGuard<'_, Host> {
        self.host.lock().unwrap()
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        let range =
            head.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
        let start: usize = range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
        let mut host = self.host();
        let (stored, name) = match path.strip_prefix("/stored/") {
            Some(name) => (true, name.to_owned()),
            None => (false, path.strip_prefix("/somebody/tiny/resolve/main/").unwrap_or(&path).to_owned()),
        };
        let Some(file) = host.files.get(&name).cloned() else {
            drop(host);
            return send(&mut stream, "404 Not Found", "", b"no such file");
        };
        if !stored {
            host.asked.push((name.clone(), start));
            if host.unavailable > 0 {
                host.unavailable -= 1;
                drop(host);
                return send(&mut stream, "503 Service Unavailable", "", b"later");
            }
            if name.ends_with(".onnx") {
                let hash = hex::encode(Sha256::digest(&file));
                let said = format!(
                    "X-Linked-Etag: \"{hash}\"\r\nX-Linked-Size: {}\r\nLocation: /stored/{name}\r\n",
                    file.len()
                );
                drop(host);
                return send(&mut stream, "302 Found", &said, b"");
            }
        }
        let mut body = file.get(start..).unwrap_or_default().to_vec();
        if host.lies {
            body.iter_mut().for_each(|byte| *byte ^= 1);
        }
        if start > 0 && body.is_empty() {
            drop(host);
            return send(&mut stream, "416 Range Not Satisfiable", "", b"");
        }
        let status = if start > 0 { "206 Partial Content" } else { "200 OK" };
        let (after, often) = host.cut;
        if often > 0 && body.len() > after {
            host.cut.1 -= 1;
            drop(host);
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).ok()?;
            return stream.write_all(&body[..after]).ok();
        }
        drop(host);
        send(&mut stream, status, "", &body)
    }
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> Option<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

/// A pack as somebody publishes it, by published path; and a folder of it.
fn published_tiny(seed: u64) -> (HashMap<String, Vec<u8>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made");
    let recipe = Recipe { clip: TINYCLIP_VIT_8M_16, precision: Precision::Int8, seed };
    make_random(&RandomPack { name: "tiny".into(), recipe }, &made).unwrap();
    let read = |(path, file): (&str, &str)| (path.to_owned(), fs::read(made.join(file)).unwrap());
    (published(Precision::Int8).map(read).into(), folder)
}

struct Store {
    folder: tempfile::TempDir,
    out: PathBuf,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("tiny-int8");
        Self { folder, out }
    }

    fn pull(&self, from: &str) -> Result<Pack, PullError> {
        self.pull_with(from, false, &mut |_| Ok(()))
    }

    fn pull_with(
        &self,
        from: &str,
        update: bool,
        try_out: &mut dyn FnMut(&Pack) -> Result<(), PackError>,
    ) -> Result<Pack, PullError> {
        let wanted =
            Pull { known: TINY, precision: Precision::Int8, from: Some(from), out: &self.out, update };
        // As `pull`, which waits longer between attempts.
        super::pull_with(&wanted, Duration::from_millis(1), &mut |_| {}, try_out)
    }

    /// What is in the store and not hidden.
    fn holds(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }
}

#[test]
fn a_pack_is_pulled_whole_through_broken_connections() {
    let (files, _made) = published_tiny(1);
    let server = Server::start(files.clone());
    let store = Store::new();
    server.host().cut = (3_000_000, 3);
    server.host().unavailable = 2;
    let mut tried = 0;
    let pack = store.pull_with(&server.base, false, &mut |pack| {
        assert!(pack.verify().all(|(_, result)| result.is_ok()));
        tried += 1;
        Ok(())
    });
    let pack = pack.unwrap();
    assert_eq!((pack.identity().as_str(), tried), ("tiny-int8@1", 1));
    assert_eq!(pack.manifest().embedding.space, "tiny");
    assert_eq!(store.holds(), ["models.lock", "tiny-int8"]);
    assert_eq!(
        fs::read(store.out.join("image.int8.onnx")).unwrap(),
        files["onnx/vision_model_quantized.onnx"]
    );
    let asked = server.host().asked.clone();
    let from: Vec<_> =
        asked.iter().filter(|(name, _)| name.contains("vision")).map(|(_, from)| *from).collect();
    assert_eq!(from, [0, 0, 0, 3_000_000, 6_000_000], "it goes on where it was cut off: {asked:?}");
}

#[test]
fn an_interrupted_pull_leaves_the_store_as_it_was_and_the_next_goes_on() {
    let (files, _made) = published_tiny(1);
    let server = Server::start(files);
    let store = Store::new();
    server.host().cut = (0, usize::MAX);
    let error = store.pull(&server.base).unwrap_err();
    assert!(error.to_string().contains("it goes on where it was cut off"), "{error}");
    assert_eq!(store.holds(), [""; 0]);

    server.host().cut = (5_000_000, 1);
    server.host().unavailable = 0;
    let partial = store.folder.path().join(".tiny-int8.partial/image.int8.onnx");
    // As one that was killed leaves it.
    fs::write(&partial, &server.host().files["onnx/vision_model_quantized.onnx"][..1_000_000]).unwrap();
    store.pull(&server.base).unwrap();
    assert!(server.host().asked.contains(&("onnx/vision_model_quantized.onnx".into(), 1_000_000)));

    // Again: nothing is fetched but what a small file costs, and what is there stays if it fails.
    server.host().lies = true;
    let error = store.pull(&server.base).unwrap_err();
    assert!(matches!(error, PullError::Damaged { .. }), "{error}");
    Pack::open(&store.out).unwrap();
}

#[test]
fn what_belongs_to_another_file_is_begun_anew() {
    let (files, _made) = published_tiny(1);
    let server = Server::start(files.clone());
    let store = Store::new();
    let partial = store.folder.path().join(".tiny-int8.partial");
    fs::create_dir_all(&partial).unwrap();
    fs::write(partial.join("image.int8.onnx"), "of an older version").unwrap();
    fs::write(partial.join("tokenizer.json"), "{").unwrap();
    fs::write(partial.join("text.int8.onnx"), vec![0; 50_000_000]).unwrap();
    store.pull(&server.base).unwrap();
    for (path, file) in published(Precision::Int8) {
        assert_eq!(fs::read(store.out.join(file)).unwrap(), files[path], "{file}");
    }
}

#[test]
fn a_file_that_changed_since_it_was_pulled_first_is_refused_unless_wanted() {
    let (files, _made) = published_tiny(1);
    let (others, _made) = published_tiny(2);
    let server = Server::start(files);
    let store = Store::new();
    let first = store.pull(&server.base).unwrap().manifest().sha256.clone();
    server.host().files = others;
    let error = store.pull(&server.base).unwrap_err();
    assert!(error.to_string().contains("--update") && error.to_string().contains("vision_model"), "{error}");
    assert_eq!(Pack::open(&store.out).unwrap().manifest().sha256, first);
    let updated = store.pull_with(&server.base, true, &mut |_| Ok(())).unwrap();
    assert_ne!(updated.manifest().sha256, first);
    store.pull(&server.base).unwrap();
    fs::write(store.folder.path().join("models.lock"), "not = [toml").unwrap();
    assert!(matches!(store.pull(&server.base).unwrap_err(), PullError::Lock { .. }));
}

#[test]
fn what_does_not_work_is_not_put_in_place_and_what_is_missing_is_named() {
    let (mut files, _made) = published_tiny(1);
    let server = Server::start(files.clone());
    let store = Store::new();
    let refuse = &mut |_: &Pack| Err(PackError::NoNano);
    assert!(matches!(store.pull_with(&server.base, false, refuse).unwrap_err(), PullError::Unfit(_)));
    assert_eq!(store.holds(), [""; 0]);
    files.remove("tokenizer.json");
    server.host().files = files;
    let error = store.pull(&server.base).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json") && error.contains("404"), "{error}");
    let nobody = store.pull("http://127.0.0.1:9").unwrap_err().to_string();
    assert!(nobody.contains("127.0.0.1:9") && nobody.contains("--from"), "{nobody}");
}

#[test]
fn folders_serve_as_a_mirror_or_hold_a_whole_pack() {
    let (files, made) = published_tiny(1);
    let mirror = tempfile::tempdir().unwrap();
    fs::create_dir(mirror.path().join("onnx")).unwrap();
    for (path, bytes) in &files {
        fs::write(mirror.path().join(path), bytes).unwrap();
    }
    let store = Store::new();
    let pack = store.pull(mirror.path().to_str().unwrap()).unwrap();
    assert_eq!(pack.identity(), "tiny-int8@1");
    // Under their names alone, as on a stick.
    for (path, _) in published(Precision::Int8).iter().take(2) {
        let name = Path::new(path).file_name().unwrap();
        fs::rename(mirror.path().join(path), mirror.path().join(name)).unwrap();
    }
    store.pull(mirror.path().to_str().unwrap()).unwrap();
    let whole = store.pull(made.path().join("made").to_str().unwrap()).unwrap();
    assert_eq!(whole.identity(), "tiny-random-int8@1");
    fs::remove_file(mirror.path().join("tokenizer.json")).unwrap();
    let error = store.pull(mirror.path().to_str().unwrap()).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
    assert_eq!(Pack::open(&store.out).unwrap().identity(), "tiny-random-int8@1", "what was there stays");
}
