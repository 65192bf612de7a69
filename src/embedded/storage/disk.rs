//! The data directory: one redb file, written by one thread. All changes that come in while it writes are
//! written together next, so that many writers share the wait for the disk.

#[cfg(test)]
mod tests;

use std::fs::{self, TryLockError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};

use super::memory::{MOST_AHEAD, Memory, State};
use super::{Change, Entry, Error, Key};

/// Objects: version and JSON, by resource, namespace and name with a NUL between each.
const OBJECTS: TableDefinition<&str, (u64, &[u8])> = TableDefinition::new("objects");
/// Numbers about the file.
const FACTS: TableDefinition<&str, u64> = TableDefinition::new("facts");

/// The layout of these tables.
const FORMAT: u64 = 1;
/// No version above this one has been seen by anybody.
const RESERVED: &str = "reserved";

/// Everything is in memory anyway; this is for the pages that a write touches.
const CACHE: usize = 16 << 20;

/// The open file, and the lock of its directory.
pub(super) struct File {
    database: Database,
    _lock: fs::File,
}

/// The thread that writes. Dropped, it writes what is left and closes the file.
pub(super) struct Disk {
    closing: Arc<AtomicBool>,
    writer: Option<JoinHandle<()>>,
}

/// A row of the objects.
type Row = (String, u64, Bytes);

impl File {
    /// Opens the file of a directory, makes what is missing, and reads everything.
    pub(super) fn open(dir: &Path) -> Result<(Self, State), Error> {
        let failed = |source| Error::Directory { dir: dir.to_owned(), source };
        prepare(dir).map_err(failed)?;
        let lock = lock(dir)?;
        let file = dir.join("objects.redb");
        // A file that is not finished has another name: redb would refuse what a crash leaves of it.
        let unfinished = dir.join("objects.redb.new");
        let new = !file.try_exists().map_err(failed)?;
        if new {
            let _ = fs::remove_file(&unfinished);
        }
        // A check of all checksums costs little beside reading everything, and what is damaged must not
        // come to light later.
        let database = redb::Builder::new()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .create(if new { &unfinished } else { &file })
            .map_err(|error| not_opened(dir, &file, error))?;
        let opened = Self { database, _lock: lock };
        let state = if new { State::empty() } else { opened.load(&file)? };
        opened.store(&[], state.version() + MOST_AHEAD).map_err(|error| unreadable(&file, error))?;
        if new {
            fs::rename(&unfinished, &file).map_err(failed)?;
            fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)?;
        }
        Ok((opened, state))
    }

    /// Reads everything. The version goes on above all that may have been seen.
    fn load(&self, file: &Path) -> Result<State, Error> {
        let damaged = |reason: &str| Error::Damaged { file: file.to_owned(), reason: reason.into() };
        let fact = |name| self.fact(name).map_err(|error| unreadable(file, error));
        match fact("format")? {
            Some(FORMAT) => {}
            Some(found) => return Err(Error::Format { file: file.to_owned(), found, known: FORMAT }),
            None => return Err(damaged("it does not tell its format")),
        }
        let reserved = fact(RESERVED)?.ok_or_else(|| damaged("it does not tell its version"))?;
        let rows = self.rows().map_err(|error| unreadable(file, error))?;
        let entries: Option<Vec<_>> = rows.into_iter().map(|row| entry(row, reserved)).collect();
        let entries = entries.ok_or_else(|| damaged("an object has no sound key or version"))?;
        Ok(State::restored(reserved, entries))
    }

    fn fact(&self, name: &str) -> Result<Option<u64>, redb::Error> {
        match self.database.begin_read()?.open_table(FACTS) {
            Ok(facts) => Ok(facts.get(name)?.map(|value| value.value())),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn rows(&self) -> Result<Vec<Row>, redb::Error> {
        let mut rows = Vec::new();
        for row in self.database.begin_read()?.open_table(OBJECTS)?.iter()? {
            let (key, value) = row?;
            let (version, json) = value.value();
            rows.push((key.value().to_owned(), version, Bytes::copy_from_slice(json)));
        }
        Ok(rows)
    }

    /// Writes changes and a reservation, and waits until the disk has them.
    fn store(&self, changes: &[Arc<Change>], reserved: u64) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut objects = write.open_table(OBJECTS)?;
            for change in changes {
                let Entry { key, version, json } = &*change.after;
                let row = format!("{}\0{}\0{}", key.resource, key.namespace, key.name);
                if change.deleted {
                    objects.remove(&*row)?;
                } else {
                    objects.insert(&*row, (*version, &**json))?;
                }
            }
            let mut facts = write.open_table(FACTS)?;
            facts.insert("format", FORMAT)?;
            facts.insert(RESERVED, reserved)?;
        }
        write.commit()?;
        Ok(())
    }

    /// Writes what comes, until it is closed. Then nobody can have seen more than was written, and nothing
    /// stays reserved.
    fn follow(&self, memory: &Memory, closing: &AtomicBool) -> Result<(), redb::Error> {
        loop {
            let ending = closing.load(Ordering::Acquire);
            let (told, changes) = {
                let state = memory.read();
                (state.told(), state.after(state.told()).cloned().collect::<Vec<_>>())
            };
            if let Some(last) = changes.last() {
                self.store(&changes, last.version + MOST_AHEAD)?;
                memory.tell(last.version);
            } else if ending {
                return self.store(&[], told);
            } else {
                thread::park();
            }
        }
    }
}

impl Disk {
    /// Starts to write what is new in memory.
    pub(super) fn start(file: File, memory: Arc<Memory>) -> io::Result<Self> {
        let closing = Arc::new(AtomicBool::new(false));
        let asked = closing.clone();
        let writer = thread::Builder::new().name("storage".into()).spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| file.follow(&memory, &asked)));
            let reason = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "the writer panicked".into(),
            };
            tracing::error!(reason, "the data directory cannot be written any more");
            memory.give_up(reason);
        })?;
        Ok(Self { closing, writer: Some(writer) })
    }

    /// Says that there is something to write.
    pub(super) fn wake(&self) {
        if let Some(writer) = &self.writer {
            writer.thread().unpark();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
        if let Some(writer) = self.writer.take() {
            writer.join().expect("the writer catches panics");
        }
    }
}

/// Makes a directory that only its owner may read: there are Secrets in it.
fn prepare(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes sure that no other process uses a directory, as long as the answer lives.
fn lock(dir: &Path) -> Result<fs::File, Error> {
    let failed = |source| Error::Directory { dir: dir.to_owned(), source };
    let lock = fs::File::create(dir.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Reads a row. Its version must have been reserved.
fn entry((key, version, json): Row, reserved: u64) -> Option<Entry> {
    let mut parts = key.split('\0');
    let (resource, namespace, name) = (parts.next()?, parts.next()?, parts.next()?);
    let sound = parts.next().is_none() && version <= reserved;
    let key = Key { resource: resource.into(), namespace: namespace.into(), name: name.into() };
    sound.then_some(Entry { key, version, json })
}

fn not_opened(dir: &Path, file: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            Error::InUse { dir: dir.to_owned() }
        }
        other => unreadable(file, other.into()),
    }
}

fn unreadable(file: &Path, error: redb::Error) -> Error {
    let file = PathBuf::from(file);
    match error {
        redb::Error::Corrupted(reason) => Error::Damaged { file, reason },
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Error::Damaged { file, reason: error.to_string() }
        }
        other => Error::Read { file, source: Box::new(other) },
    }
}
