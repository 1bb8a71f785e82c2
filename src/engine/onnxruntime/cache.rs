//! Where TensorRT's engines are kept. Building one takes minutes on a Jetson; reading it, seconds.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::engine::ModelBytes;

/// A folder of the model's own. TensorRT names an engine by the graph, the chip and its own version, not by the weights:
/// without this a model that was trained further would be run with its old ones.
pub fn folder(model: &ModelBytes) -> io::Result<PathBuf> {
    let mut hash = Sha256::new();
    match model {
        ModelBytes::Static(bytes) => hash.update(bytes),
        ModelBytes::Made(bytes) => hash.update(bytes),
        ModelBytes::File(path) => {
            io::copy(&mut File::open(path)?, &mut hash)?;
        }
    }
    let digest = hex::encode(hash.finalize());
    let folder = root()?.join("tensorrt").join(digest.get(..16).unwrap_or_default());
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// systemd's CacheDirectory= or StateDirectory=, else a user's own.
fn root() -> io::Result<PathBuf> {
    let first = |all| env::split_paths(&all).next();
    let of_user = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    env::var_os("CACHE_DIRECTORY")
        .or_else(|| env::var_os("STATE_DIRECTORY"))
        .and_then(first)
        .or_else(|| {
            env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(of_user)
                .map(|base| base.join("watchword"))
        })
        .ok_or_else(|| {
            io::Error::other("neither CACHE_DIRECTORY, STATE_DIRECTORY, XDG_CACHE_HOME nor HOME is set")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_weights_have_another_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("model.onnx");
        let names: Vec<_> = ["one", "two", "one"]
            .map(|bytes| {
                fs::write(&path, bytes).unwrap();
                folder(&ModelBytes::File(path.clone())).unwrap()
            })
            .into();
        assert_ne!(names[0], names[1]);
        assert_eq!(names[0], names[2]);
        assert_eq!(names[0], folder(&ModelBytes::Static(b"one")).unwrap());
        names.iter().for_each(|folder| _ = fs::remove_dir(folder));
    }
}
