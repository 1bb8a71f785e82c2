//! One file from where it is published into one beside the pack that is being made: over HTTP, going on where the last
//! attempt was cut off, or out of a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::PullError;
use crate::pack::files::{LARGEST_FILE, hash_file};

/// A host that sends us further more often is going round in circles.
const REDIRECTS: usize = 8;
/// Attempts that bring nothing new before it is given up.
const ATTEMPTS: u32 = 5;

/// Where files are fetched from.
#[derive(Debug)]
pub enum Origin {
    /// The address below which files are.
    Web { base: String, agent: Agent, pause: Duration },
    /// A folder with the files, below their published paths or under their names alone.
    Folder(PathBuf),
}

/// How a fetch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    pub file: &'a str,
    /// Bytes that are here.
    pub done: u64,
    /// Bytes there are, if the host says so.
    pub total: Option<u64>,
}

/// A file that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// SHA-256, in hexadecimal.
    pub sha256: String,
}

impl Origin {
    /// Files below the address `base`; between two attempts there is a `pause`, longer each time.
    pub fn web(base: &str, pause: Duration) -> Self {
        let certificates = rustls_native_certs::load_native_certs().certs;
        let roots = certificates.iter().map(|der| Certificate::from_der(der).to_owned());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            // Followed here, for what each host on the way says of the file.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .user_agent(concat!("watchword/", env!("CARGO_PKG_VERSION")))
            .build();
        Self::Web { base: base.trim_end_matches('/').to_owned(), agent: config.into(), pause }
    }

    /// Has the published file `path` in `to`, whole and as its host declares it. What an earlier attempt left in `to` is
    /// gone on from.
    pub fn fetch(
        &self,
        path: &str,
        to: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Fetched, PullError> {
        match self {
            Self::Folder(folder) => copy(folder, path, to),
            Self::Web { base, agent, pause } => {
                Download { agent, url: format!("{base}/{path}"), path, to }.run(*pause, progress)
            }
        }
    }
}

fn copy(folder: &Path, path: &str, to: &Path) -> Result<Fetched, PullError> {
    let name = Path::new(path).file_name().unwrap_or_default();
    let places = [folder.join(path), folder.join(name)];
    let Some(from) = places.iter().find(|place| place.is_file()) else {
        return Err(PullError::NotThere { folder: folder.to_owned(), path: path.to_owned() });
    };
    let failed = |error| PullError::Copy { from: from.clone(), error };
    fs::copy(from, to).map_err(failed)?;
    Ok(Fetched { sha256: hash(to)? })
}

fn hash(path: &Path) -> Result<String, PullError> {
    let hash = hash_file(path).map_err(|error| PullError::Write { path: path.to_owned(), error })?;
    Ok(hex::encode(hash))
}

struct Download<'a> {
    agent: &'a Agent,
    url: String,
    path: &'a str,
    to: &'a Path,
}

/// What a host said about a file.
#[derive(Debug, Default)]
struct Declared {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Download<'_> {
    fn run(&self, pause: Duration, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Fetched, PullError> {
        let mut idle = 0;
        loop {
            let before = self.here();
            let error = match self.attempt(before, progress) {
                Ok(declared) => match self.check(&declared)? {
                    Some(fetched) => return Ok(fetched),
                    // What was begun belonged to another file, or was damaged.
                    None if before > 0 => continue,
                    None => return Err(self.damaged(&declared)),
                },
                Err(error) => error,
            };
            idle = if self.here() > before { 0 } else { idle + 1 };
            if idle >= ATTEMPTS || !error.may_pass() {
                return Err(error);
            }
            tracing::warn!(%error, "trying again");
            thread::sleep(pause * 2u32.pow(idle));
        }
    }

    /// Bytes that an earlier attempt brought.
    fn here(&self) -> u64 {
        fs::metadata(self.to).map_or(0, |file| file.len())
    }

    /// Whether the file is what its host declares; if not it is removed.
    fn check(&self, declared: &Declared) -> Result<Option<Fetched>, PullError> {
        let sha256 = hash(self.to)?;
        let size = self.here();
        let fits = declared.sha256.as_ref().is_none_or(|wanted| *wanted == sha256)
            && declared.size.is_none_or(|wanted| wanted == size);
        if !fits {
            fs::remove_file(self.to).map_err(|error| self.unwritten(error))?;
        }
        Ok(fits.then_some(Fetched { sha256 }))
    }

    fn damaged(&self, declared: &Declared) -> PullError {
        let wanted = declared.sha256.clone().unwrap_or_else(|| "another size".into());
        PullError::Damaged { url: self.url.clone(), wanted }
    }

    fn unwritten(&self, error: io::Error) -> PullError {
        PullError::Write { path: self.to.to_owned(), error }
    }

    fn attempt(&self, have: u64, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Declared, PullError> {
        let mut declared = Declared::default();
        let mut response = self.request(have, &mut declared)?;
        let (append, done) = match response.status().as_u16() {
            200 => (false, 0),
            206 if declared.sha256.is_some() => (true, have),
            // Nothing is missing, or what is here is no part of it; its hash will tell.
            416 if declared.sha256.is_some() => return Ok(declared),
            // Nothing would tell whether the two parts are of one file.
            206 | 416 if have > 0 => return self.attempt(0, progress),
            status => return Err(PullError::Status { url: self.url.clone(), status }),
        };
        let length = number(&response, header::CONTENT_LENGTH.as_str());
        let total = declared.size.or(length.map(|length| done + length));
        if total.is_some_and(|total| total > LARGEST_FILE) {
            return Err(PullError::TooLarge { url: self.url.clone() });
        }
        let file = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(self.to);
        let mut file = file.map_err(|error| self.unwritten(error))?;
        let end = self.pour(&mut response, &mut file, done, total, progress)?;
        file.sync_all().map_err(|error| self.unwritten(error))?;
        if total.is_some_and(|total| end < total) {
            let error = io::Error::new(io::ErrorKind::UnexpectedEof, format!("cut off after {end} bytes"));
            return Err(PullError::Connection { url: self.url.clone(), error });
        }
        Ok(declared)
    }

    /// Asks for what follows the first `have` bytes, wherever the host sends us.
    fn request(&self, have: u64, declared: &mut Declared) -> Result<Response<Body>, PullError> {
        let mut url = self.url.clone();
        for _ in 0..REDIRECTS {
            let mut request = self.agent.get(&url).header("Accept-Encoding", "identity");
            if have > 0 {
                request = request.header("Range", format!("bytes={have}-"));
            }
            let response = request
                .call()
                .map_err(|error| PullError::Connection { url: self.url.clone(), error: error.into_io() })?;
            declared.note(&response);
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let to = text(&response, header::LOCATION.as_str()).unwrap_or_default();
            url = follow(&url, to)
                .ok_or_else(|| PullError::Redirect { url: self.url.clone(), to: to.into() })?;
        }
        Err(PullError::Redirect { url: self.url.clone(), to: url })
    }

    fn pour(
        &self,
        response: &mut Response<Body>,
        file: &mut File,
        mut done: u64,
        total: Option<u64>,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<u64, PullError> {
        let mut reader = response.body_mut().with_config().limit(LARGEST_FILE + 1).reader();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = match reader.read(&mut buffer) {
                Ok(0) => return Ok(done),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(PullError::Connection { url: self.url.clone(), error }),
            };
            done += length as u64;
            if done > LARGEST_FILE {
                return Err(PullError::TooLarge { url: self.url.clone() });
            }
            let bytes = buffer.get(..length).unwrap_or_default();
            file.write_all(bytes).map_err(|error| self.unwritten(error))?;
            progress(Progress { file: self.path, done, total });
        }
    }
}

impl Declared {
    /// Large files are named by their SHA-256 before one is sent on to where they are (Git LFS, as the model hub shows
    /// it); small ones by a hash of Git's, which is of another length.
    fn note(&mut self, response: &Response<Body>) {
        let tag = text(response, "x-linked-etag").map(|tag| tag.trim_start_matches("W/").trim_matches('"'));
        let is_sha256 = |tag: &&str| tag.len() == 64 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(tag) = tag.filter(is_sha256) {
            self.sha256 = Some(tag.to_ascii_lowercase());
            self.size = number(response, "x-linked-size").or(self.size);
        }
    }
}

fn text<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn number(response: &Response<Body>, name: &str) -> Option<u64> {
    text(response, name)?.parse().ok()
}

/// Where `to`, said at `from`, leads (RFC 9110, 10.2.2); never from a connection that is verified to one that is not.
fn follow(from: &str, to: &str) -> Option<String> {
    let from: Uri = from.parse().ok()?;
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    if to.starts_with('/') && !to.starts_with("//") {
        return Some(format!("{scheme}://{authority}{to}"));
    }
    let there: Uri = to.parse().ok()?;
    (there.scheme_str() == Some("https") || there.scheme_str() == Some(scheme)).then(|| to.to_owned())
}

#[cfg(test)]
mod tests {
    use super::follow;

    #[test]
    fn redirects_are_followed_and_never_out_of_tls() {
        let from = "https://host.example/a/b";
        assert_eq!(follow(from, "/c?d=e").as_deref(), Some("https://host.example/c?d=e"));
        assert_eq!(follow(from, "https://cdn.example/x").as_deref(), Some("https://cdn.example/x"));
        for bad in ["http://cdn.example/x", "//cdn.example/x", "file:///etc/passwd", "", "x"] {
            assert_eq!(follow(from, bad), None, "{bad}");
        }
        assert!(follow("http://mirror.example/a", "http://mirror.example/b").is_some());
        assert!(follow("http://mirror.example/a", "https://mirror.example/b").is_some());
    }
}
