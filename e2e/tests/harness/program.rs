//! Runs programs and keeps what they said.

use std::{
    ffi::OsStr,
    io::Write,
    process::{Command, Output, Stdio},
    thread,
};

/// What a program said, and whether it was content.
#[derive(Debug)]
pub(crate) struct Said {
    /// How it was called, for messages.
    pub(crate) line: String,
    /// Whether its exit code was 0.
    pub(crate) ok: bool,
    /// Its exit code, unless a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Said {
    /// Standard output of a program that must succeed.
    #[track_caller]
    pub(crate) fn out(self) -> String {
        assert!(self.ok, "{} failed: {}{}", self.line, self.err, self.out);
        self.out
    }

    /// Standard error of a program that must fail.
    #[track_caller]
    pub(crate) fn err(self) -> String {
        assert!(!self.ok, "{} should have failed, and said: {}", self.line, self.out);
        self.err
    }

    /// Standard output, or what to say when trying again makes sense.
    pub(crate) fn attempt(self) -> Result<String, String> {
        if self.ok { Ok(self.out) } else { Err(format!("{}: {}", self.line, self.err.trim())) }
    }
}

/// A program that is about to be started.
#[expect(clippy::disallowed_methods, reason = "these tests drive programs")]
pub(crate) fn program(path: impl AsRef<OsStr>) -> Command {
    Command::new(path)
}

/// Runs it to its end with the given standard input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Said {
    let line = format!("{command:?}");
    let output = output(command, input);
    Said {
        line: line.split('"').map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "),
        ok: output.status.success(),
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs it to its end with the given standard input, for output that is not text.
pub(crate) fn output(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("could not start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("stdin is piped");
    thread::scope(|scope| {
        // Both at once, so that neither side waits for the other with a full pipe. A program that
        // does not read to the end is its own business.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap_or_else(|error| panic!("could not wait for {command:?}: {error}"))
    })
}
