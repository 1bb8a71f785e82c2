//! A child process that writes to a pipe: reading it without getting stuck on it, and getting rid of it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::address::Address;
use crate::camera::{CameraError, SLICE, Stop};

/// Of what a program says on its error output, so much of the end is kept.
const KEPT: usize = 2048;

/// A child process whose output is read and whose last words are kept. It is killed and reaped when dropped.
pub struct Program {
    address: Address,
    child: Child,
    output: ChildStdout,
    /// `None` when it has ended.
    errors: Option<ChildStderr>,
    words: VecDeque<u8>,
}

impl Program {
    /// Starts it on what is at `address`, with `script` to read.
    pub fn spawn(
        address: &Address,
        mut command: Command,
        script: Option<String>,
    ) -> Result<Self, CameraError> {
        let name = address.shown();
        let input = if script.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A Ctrl-C at the terminal is the daemon's to answer.
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => CameraError::Program {
                name: name.to_owned(),
                program: command.get_program().to_string_lossy().into_owned(),
            },
            _ => CameraError::Io { name: name.to_owned(), error },
        })?;
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let Some(output) = output else {
            let reason = "no pipe to the program".into();
            return Err(CameraError::Video { name: name.to_owned(), reason });
        };
        // A larger pipe means fewer turns between the processes; the kernel may refuse.
        #[cfg(target_os = "linux")]
        let _ = rustix::pipe::fcntl_setpipe_size(&output, 1 << 20);
        let program = Self { address: address.clone(), child, output, errors, words: VecDeque::new() };
        if let (Some(mut input), Some(script)) = (input, script) {
            // It fits into the pipe: nobody waits. A program that ended before it read it says why itself.
            let _ = input.write_all(script.as_bytes());
        }
        Ok(program)
    }

    /// Waits until there is output, and reads once; 0 is its end. Takes up error output on the way.
    pub fn read(
        &mut self,
        stop: &Stop,
        timeout: Duration,
        mut once: impl FnMut(&mut ChildStdout) -> std::io::Result<usize>,
    ) -> Result<usize, CameraError> {
        let start = Instant::now();
        loop {
            stop.check()?;
            let [output, errors] = self.wait(true)?;
            if errors {
                self.listen()?;
            }
            if output {
                match once(&mut self.output) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    result => return result.map_err(|error| self.io(error)),
                }
            }
            if start.elapsed() > timeout {
                return Err(CameraError::Stalled { name: self.address.shown().to_owned(), after: timeout });
            }
        }
    }

    /// What the program said last, once it has ended or a second has passed. Without passwords.
    pub fn last_words(&mut self) -> String {
        let start = Instant::now();
        while self.errors.is_some() && start.elapsed() < Duration::from_secs(1) {
            if !matches!(self.wait(false), Ok([_, errors]) if !errors || self.listen().is_ok()) {
                break;
            }
        }
        let words = String::from_utf8_lossy(self.words.make_contiguous()).into_owned();
        let words = self.address.without_secrets(&words);
        let lines: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }

    /// Waits a [`SLICE`] at most for output, if that is wanted, and error output: which of them can be read.
    fn wait(&self, output: bool) -> Result<[bool; 2], CameraError> {
        // One that is not to be waited for is replaced by the other: polling a pipe twice does no harm.
        let errors = self.errors.as_ref().map_or(self.output.as_fd(), AsFd::as_fd);
        let first = if output { self.output.as_fd() } else { errors };
        let mut fds = [first, errors].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let timeout = Timespec { tv_sec: 0, tv_nsec: SLICE.subsec_nanos().into() };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(self.io(error.into())),
        }
        let [first, second] = fds.map(|fd| !fd.revents().is_empty());
        Ok([first && output, second && self.errors.is_some()])
    }

    /// Takes up error output that is there.
    fn listen(&mut self) -> Result<(), CameraError> {
        let mut bytes = [0; 1024];
        let Some(errors) = &mut self.errors else { return Ok(()) };
        match errors.read(&mut bytes) {
            Ok(0) => self.errors = None,
            Ok(read) => {
                self.words.extend(&bytes[..read]);
                self.words.drain(..self.words.len().saturating_sub(KEPT));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(self.io(error)),
        }
        Ok(())
    }

    fn io(&self, error: std::io::Error) -> CameraError {
        CameraError::Io { name: self.address.shown().to_owned(), error }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is reaped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::spawn(&Address::new("rtsp://me:secret@host/"), command, None).unwrap()
    }

    #[test]
    fn a_missing_program_is_named_with_the_remedy() {
        let error = Program::spawn(&Address::new("a.mp4"), Command::new("no-such-ffmpeg"), None)
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains("a.mp4") && error.contains("no-such-ffmpeg") && error.contains("install"),
            "{error}"
        );
    }

    #[test]
    fn a_script_is_read_from_the_standard_input() {
        let mut command = Command::new("cat");
        command.arg("-");
        let script = Some("words".to_owned());
        let mut program = Program::spawn(&Address::new("rtsp://host/"), command, script).unwrap();
        let mut bytes = [0; 8];
        let mut read = || program.read(&Stop::new(), Duration::from_secs(60), |pipe| pipe.read(&mut bytes));
        assert_eq!((read().unwrap(), read().unwrap()), (5, 0));
        assert_eq!(&bytes[..5], b"words");
    }

    #[test]
    fn silence_is_an_error_after_a_while() {
        let mut program = shell("echo -n abc; exec sleep 60");
        let mut bytes = [0; 8];
        let mut read =
            || program.read(&Stop::new(), Duration::from_millis(150), |pipe| pipe.read(&mut bytes));
        assert_eq!(read().unwrap(), 3);
        let error = read().unwrap_err();
        assert!(matches!(error, CameraError::Stalled { .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn the_last_words_are_kept_without_the_password() {
        // More than a pipe holds: the program must not hang on it.
        let mut program =
            shell("yes warning | head -c 300000 >&2; echo 'rtsp://me:secret@host/: refused' >&2");
        let mut bytes = [0; 8];
        assert_eq!(
            program.read(&Stop::new(), Duration::from_secs(60), |pipe| pipe.read(&mut bytes)).unwrap(),
            0
        );
        let words = program.last_words();
        assert!(words.ends_with("rtsp://***@host/: refused"), "{words}");
        assert!(words.len() < KEPT);
    }

    #[test]
    fn a_dropped_program_is_killed_and_reaped() {
        let program = shell("exec sleep 60");
        let process = format!("/proc/{}", program.child.id());
        assert!(std::path::Path::new(&process).exists());
        drop(program);
        assert!(!std::path::Path::new(&process).exists());
    }
}
