//! A disk that loses what it was not told to keep, and one that fails.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use serde_json::json;

use super::{Disk, File, Memory, State};
use crate::embedded::storage::memory::MOST_AHEAD;
use crate::embedded::storage::{Error, Key, Storage, Write};

/// A disk in memory.
#[derive(Debug, Clone, Default)]
struct Platter(Arc<Mutex<Bytes>>);

#[derive(Debug, Default)]
struct Bytes {
    /// As they are read.
    now: Vec<u8>,
    /// As they would be after a power cut.
    kept: Vec<u8>,
    failing: bool,
}

impl Platter {
    fn after_power_cut(&self) -> Self {
        let kept = self.0.lock().unwrap().kept.clone();
        Self(Arc::new(Mutex::new(Bytes { now: kept.clone(), kept, failing: false })))
    }

    fn fail(&self) {
        self.0.lock().unwrap().failing = true;
    }

    fn open(&self) -> (File, State) {
        let database = redb::Builder::new().create_with_backend(self.clone()).unwrap();
        let opened = File { database, _lock: tempfile::tempfile().unwrap() };
        let state = match opened.fact("format").unwrap() {
            None => State::empty(),
            Some(_) => opened.load("platter".as_ref()).unwrap(),
        };
        opened.store(&[], state.version() + MOST_AHEAD).unwrap();
        (opened, state)
    }

    fn storage(&self) -> Storage {
        let (file, state) = self.open();
        let memory = Arc::new(Memory::new(state));
        let disk = Disk::start(file, memory.clone()).unwrap();
        Storage::of(memory, Some(disk))
    }
}

impl StorageBackend for Platter {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.lock().unwrap().now[offset..offset + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().now.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut held = self.0.lock().unwrap();
        let Bytes { now, kept, failing } = &mut *held;
        if *failing {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"));
        }
        kept.clone_from(now);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.0.lock().unwrap().now[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn put(storage: &Storage, name: &str, count: u64) -> u64 {
    let key = Key { resource: "pods".into(), namespace: "a".into(), name: name.into() };
    let object = json!({"metadata": {"name": name}, "count": count});
    storage.write(&key, |_| Ok::<_, Infallible>(Write::Put(object))).unwrap().unwrap().version
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let mut platter = Platter::default();
    let mut seen = 1;
    for count in 0..20 {
        let storage = platter.storage();
        let begun = storage.version();
        assert!(begun >= seen, "version {seen} was seen, and is given out again after {begun}");
        put(&storage, "x", count);
        put(&storage, &count.to_string(), count);
        storage.settled().await.unwrap();
        for more in 0..count {
            seen = put(&storage, "unacknowledged", more);
        }
        platter = platter.after_power_cut();
        drop(storage);
        let (_, state) = platter.after_power_cut().open();
        let kept = state.list("pods", None).entries;
        assert_eq!(
            kept.iter().filter(|entry| &*entry.key.name != "unacknowledged").count() as u64,
            count + 2
        );
        let x = kept.iter().find(|entry| &*entry.key.name == "x").unwrap();
        assert!(x.json.ends_with(format!("\"count\":{count}}}").as_bytes()), "{:?}", x.json);
    }
}

#[tokio::test]
async fn a_disk_that_fails_is_told_to_those_who_wait() {
    let platter = Platter::default();
    let storage = platter.storage();
    let mut watch = storage.watch(None, 1).unwrap();
    put(&storage, "x", 1);
    storage.settled().await.unwrap();
    platter.fail();
    // Nobody waits for ever, not even those who are far ahead of the disk.
    for count in 0..2 * MOST_AHEAD {
        put(&storage, "x", count);
    }
    let told = storage.settled().await.unwrap_err();
    assert!(matches!(&told, Error::Lost { reason } if reason.contains("no space left")), "{told}");
    assert_eq!(watch.next().await.unwrap().version, 2);
    assert!(watch.ready().unwrap().is_none(), "what may be lost is not told");
    drop(watch);
    drop(storage);
    let (_, state) = platter.after_power_cut().open();
    assert_eq!(state.list("pods", None).entries.len(), 1);
}
