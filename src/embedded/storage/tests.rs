//! The store as those see it who write, list and watch, in memory and across crashes.

use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use super::{Change, Entry, Error, Expired, Head, Key, Storage, Write};

fn key(path: &str) -> Key {
    let mut parts = path.split('/');
    let mut part = || parts.next().unwrap();
    Key { resource: part().into(), namespace: part().into(), name: part().into() }
}

fn write(storage: &Storage, path: &str, what: Write) -> Option<Arc<Entry>> {
    storage.write(&key(path), |_| Ok::<_, Infallible>(what)).unwrap()
}

fn object(path: &str, content: &str) -> Value {
    let Key { namespace, name, .. } = key(path);
    json!({"metadata": {"name": name, "namespace": namespace}, "data": {"content": content}})
}

fn put(storage: &Storage, path: &str, content: &str) -> u64 {
    write(storage, path, Write::Put(object(path, content))).unwrap().version
}

fn remove(storage: &Storage, path: &str) -> Option<Arc<Entry>> {
    write(storage, path, Write::Remove(object(path, "last")))
}

fn content(entry: &Entry) -> String {
    let value: Value = serde_json::from_slice(&entry.json).unwrap();
    assert_eq!(value["metadata"]["resourceVersion"], entry.version.to_string());
    format!("{}/{}={}", entry.key.namespace, entry.key.name, value["data"]["content"].as_str().unwrap())
}

fn contents(entries: &[Arc<Entry>]) -> String {
    entries.iter().map(|entry| content(entry)).collect::<Vec<_>>().join(" ")
}

fn told(change: &Change) -> String {
    let Change { version, before, after, deleted } = change;
    let kind = match (before, deleted) {
        (_, true) => "deleted",
        (None, false) => "added",
        (Some(_), false) => "modified",
    };
    format!("{version} {kind} {}", content(after))
}

#[test]
fn writes_are_listed_as_of_every_version() {
    let storage = Storage::in_memory();
    assert_eq!(storage.version(), 1);
    let steps: [(&dyn Fn(), &str); 7] = [
        (&|| _ = put(&storage, "pods/b/x", "1"), "b/x=1"),
        (&|| _ = put(&storage, "pods/a/x", "1"), "a/x=1 b/x=1"),
        (&|| _ = put(&storage, "pods/a-b/x", "1"), "a-b/x=1 a/x=1 b/x=1"),
        (&|| _ = put(&storage, "pods/b/x", "2"), "a-b/x=1 a/x=1 b/x=2"),
        (&|| _ = put(&storage, "podtemplates/a/x", "1"), "a-b/x=1 a/x=1 b/x=2"),
        (&|| _ = remove(&storage, "pods/a/x"), "a-b/x=1 b/x=2"),
        (&|| _ = put(&storage, "pods/a/x", "3"), "a-b/x=1 a/x=3 b/x=2"),
    ];
    for (step, _) in &steps {
        step();
    }
    assert_eq!(storage.version(), 8);
    for (version, (_, expected)) in (2..).zip(&steps) {
        assert_eq!(contents(&storage.list_at("pods", None, version).unwrap().entries), *expected);
    }
    assert_eq!(contents(&storage.list_at("pods", None, 1).unwrap().entries), "");
    assert_eq!(contents(&storage.list_at("pods", Some("a"), 6).unwrap().entries), "a/x=1");
    assert_eq!(contents(&storage.list_at("pods", Some("a"), 7).unwrap().entries), "");
    assert_eq!(contents(&storage.list("pods", Some("a")).entries), "a/x=3");
    assert_eq!(contents(&storage.list("pods", Some("")).entries), "");
    assert_eq!(storage.list_at("pods", None, 9).unwrap_err(), Expired);

    storage.forget_history();
    assert_eq!(storage.list_at("pods", None, 7).unwrap_err(), Expired);
    assert_eq!(contents(&storage.list_at("pods", None, 8).unwrap().entries), steps[6].1);
}

#[test]
fn a_decision_sees_what_is_stored_and_may_do_nothing() {
    let storage = Storage::in_memory();
    let path = key("pods/a/x");
    assert!(remove(&storage, "pods/a/x").is_none());
    put(&storage, "pods/a/x", "1");
    let kept = storage.write(&path, |before| {
        assert_eq!(content(before.unwrap()), "a/x=1");
        assert_eq!(contents(&storage.list("pods", None).entries), "a/x=1");
        Ok::<_, Infallible>(Write::Keep)
    });
    assert_eq!(content(&kept.unwrap().unwrap()), "a/x=1");
    assert_eq!(storage.write(&path, |_| Err("no")).unwrap_err(), "no");
    assert_eq!(storage.version(), 2);
    let gone = remove(&storage, "pods/a/x").unwrap();
    assert_eq!((gone.version, content(&gone)), (3, "a/x=last".into()));
    assert!(storage.get(&path).is_none());

    // Many at once count up together.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    let counted = storage.write(&path, |before| {
                        let count = before.map_or(0, |it| content(it)[4..].parse::<u32>().unwrap());
                        Ok::<_, Infallible>(Write::Put(object("pods/a/x", &(count + 1).to_string())))
                    });
                    counted.unwrap();
                }
            });
        }
    });
    assert_eq!(content(&storage.get(&path).unwrap()), "a/x=1000");
}

#[tokio::test]
async fn a_watch_tells_every_change_once_or_says_that_it_cannot() {
    let storage = Storage::in_memory();
    put(&storage, "pods/a/x", "1");
    let mut pods = storage.watch(Some("pods"), 1).unwrap();
    let mut all = storage.watch(None, 2).unwrap();
    let mut slow = storage.watch(Some("pods"), 1).unwrap();
    assert_eq!(storage.watch(None, 3).err(), Some(Expired));
    put(&storage, "secrets/a/s", "1");
    assert_eq!(pods.version(), 1);
    assert_eq!(told(&pods.next().await.unwrap()), "2 added a/x=1");
    assert_eq!(pods.version(), 3, "what is of no interest counts as told");
    assert_eq!(told(&all.next().await.unwrap()), "3 added a/s=1");
    assert!(pods.ready().unwrap().is_none());

    let writer = storage.clone();
    let writing = tokio::spawn(async move {
        put(&writer, "pods/a/x", "2");
        tokio::task::yield_now().await;
        remove(&writer, "pods/a/x");
    });
    assert_eq!(told(&pods.next().await.unwrap()), "4 modified a/x=2");
    assert_eq!(told(&pods.next().await.unwrap()), "5 deleted a/x=last");
    assert_eq!(told(&all.next().await.unwrap()), "4 modified a/x=2");
    writing.await.unwrap();

    storage.forget_history();
    assert_eq!(slow.next().await.unwrap_err(), Expired);
    assert_eq!(storage.watch(None, 4).err(), Some(Expired));
    assert_eq!(told_now(&mut pods), "");
    // The log has a limit, and it is the watch that waits too long that loses, not the writer.
    let mut idle = storage.watch(Some("pods"), 5).unwrap();
    for count in 0..40_000 {
        put(&storage, "pods/a/x", &count.to_string());
    }
    assert_eq!(idle.next().await.unwrap_err(), Expired);
}

fn told_now(watch: &mut super::Watch) -> String {
    watch.ready().unwrap().map(|change| told(&change)).unwrap_or_default()
}

#[test]
fn lists_are_put_together_from_stored_bytes() {
    let storage = Storage::in_memory();
    for (name, object) in [
        ("x", json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x"}})),
        ("y", json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "y"}})),
        ("z", json!({"metadata": {"name": "z"}, "kind": "Pod", "apiVersion": "v1"})),
    ] {
        write(&storage, &format!("pods/a/{name}"), Write::Put(object)).unwrap();
    }
    let check = |head: Head<'_>, count: usize, expected: Value| {
        let body = head.list(&storage.list("pods", None).entries[..count]);
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), expected);
    };
    let head = Head { api_version: "v1", kind: "PodList", version: 4, ..Head::default() };
    check(
        head.clone(),
        0,
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "4"}, "items": []}),
    );
    check(
        Head { proceed: Some("a\"b".into()), remaining: Some(2), ..head.clone() },
        1,
        json!({"kind": "PodList", "apiVersion": "v1",
            "metadata": {"resourceVersion": "4", "continue": "a\"b", "remainingItemCount": 2},
            "items": [{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "x", "resourceVersion": "2"}}]}),
    );
    check(
        Head { bare: true, ..head },
        3,
        json!({"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "4"}, "items": [
            {"metadata": {"name": "x", "resourceVersion": "2"}},
            {"metadata": {"name": "y", "resourceVersion": "3"}},
            {"metadata": {"name": "z", "resourceVersion": "4"}, "kind": "Pod", "apiVersion": "v1"},
        ]}),
    );
}

#[tokio::test]
async fn a_directory_keeps_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("made/for me");
    let storage = Storage::open(&dir).unwrap();
    let mut watch = storage.watch(None, 1).unwrap();
    put(&storage, "pods/a/x", "1");
    put(&storage, "pods/a/y", "1");
    remove(&storage, "pods/a/x");
    assert_eq!(told(&watch.next().await.unwrap()), "2 added a/x=1");
    storage.settled().await.unwrap();
    assert!(matches!(Storage::open(&dir).err(), Some(Error::InUse { .. })));
    put(&storage, "pods/a/z", "1");
    drop((storage, watch));

    let storage = Storage::open(&dir).unwrap();
    assert_eq!(storage.version(), 5, "an orderly end leaves no gap");
    assert_eq!(contents(&storage.list("pods", None).entries), "a/y=1 a/z=1");
    assert_eq!(storage.watch(None, 4).err(), Some(Expired));
    // More than may wait for the disk at once.
    let mut watch = storage.watch(Some("secrets"), 5).unwrap();
    for count in 0..10_000 {
        put(&storage, "secrets/a/s", &count.to_string());
    }
    storage.settled().await.unwrap();
    assert_eq!(told(&watch.next().await.unwrap()), "6 added a/s=0");
    drop((storage, watch));
    assert_eq!(contents(&Storage::open(&dir).unwrap().list("secrets", None).entries), "a/s=9999");
}

#[test]
fn a_file_that_is_not_sound_is_refused_with_a_reason() {
    let check = |spoil: &dyn Fn(&Path, Vec<u8>), expected: &str| {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::open(dir.path()).unwrap();
        for count in 0..500 {
            put(&storage, &format!("pods/a/{count}"), &"content".repeat(20));
        }
        drop(storage);
        let file = dir.path().join("objects.redb");
        spoil(&file, std::fs::read(&file).unwrap());
        let told = Storage::open(dir.path()).err().unwrap().to_string();
        let told = told.replace(&file.display().to_string(), "FILE");
        assert!(told.starts_with(expected), "{told}");
    };
    check(&|file, _| std::fs::write(file, "").unwrap(), "FILE is damaged (it does not tell its format)");
    check(&|file, _| std::fs::write(file, "hello").unwrap(), "FILE is damaged (Not a redb database");
    check(&|file, old| std::fs::write(file, &old[..old.len() / 2]).unwrap(), "FILE is damaged (");
    check(
        &|file, mut old| {
            let at = old.windows(14).position(|it| it == b"contentcontent").unwrap();
            old[at] = b'C';
            std::fs::write(file, old).unwrap();
        },
        "FILE is damaged (",
    );
    check(
        &|file, _| {
            std::fs::remove_file(file).unwrap();
            std::fs::create_dir(file).unwrap();
        },
        "cannot read FILE",
    );
}

/// Set for the process that writes until it is killed: where to.
const CHILD: &str = "EMBEDDED_STORAGE_TEST_DIR";

/// This process starts itself, as one that writes with several tasks and says what was acknowledged, and
/// kills it in the midst of that, several times over.
#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    if let Some(dir) = std::env::var_os(CHILD) {
        return write_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut last = 1;
    for round in 0..8 {
        let acknowledged = run_and_kill(dir.path(), 40 * round);
        let storage = Storage::open(dir.path()).unwrap();
        for (path, count, version) in acknowledged {
            let entry = storage.get(&key(&path)).unwrap();
            let kept: u64 = content(&entry).split_once('=').unwrap().1.parse().unwrap();
            assert!(kept >= count, "{path} is {kept}, but {count} was acknowledged");
            assert!(version > last, "version {version} was given out after {last}");
            assert!(storage.version() > version);
        }
        last = storage.version();
    }
}

/// The objects that were acknowledged last, with their counts and versions.
fn run_and_kill(dir: &Path, after: usize) -> Vec<(String, u64, u64)> {
    #[expect(clippy::disallowed_methods, reason = "a process that can be killed, of this very test")]
    let mut child = Command::new(std::env::current_exe().unwrap());
    let name = std::thread::current().name().unwrap().to_owned();
    child.args([&name, "--exact", "--nocapture"]).env(CHILD, dir);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut acknowledged: Vec<String> = Vec::new();
    let mut lines = lines.filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned));
    acknowledged.extend(lines.by_ref().take(after));
    child.kill().unwrap();
    // What it said before the end counts, too; but its last line may be torn.
    acknowledged.extend(lines.filter(|line| line.ends_with('.')));
    child.wait().unwrap();
    let parse = |line: &String| {
        let (path, numbers) = line.trim_end_matches('.').split_once(' ').unwrap();
        let (count, version) = numbers.split_once(' ').unwrap();
        (path.to_owned(), count.parse().unwrap(), version.parse().unwrap())
    };
    assert!(acknowledged.len() >= after, "the child ended early: {acknowledged:?}");
    acknowledged.iter().map(parse).collect()
}

fn write_until_killed(dir: &Path) {
    let storage = Storage::open(dir).unwrap();
    let writer = |path: String| async {
        let path = path;
        loop {
            let entry = storage.write(&key(&path), |before| {
                let count = before.map_or(0, |it| content(it).split_once('=').unwrap().1.parse().unwrap());
                Ok::<_, Infallible>(Write::Put(object(&path, &(1_u64 + count).to_string())))
            });
            let entry = entry.unwrap().unwrap();
            storage.settled().await.unwrap();
            let told = content(&entry);
            println!("acknowledged {path} {} {}.", told.split_once('=').unwrap().1, entry.version);
        }
    };
    let writers = (0..6).map(|number| writer(format!("pods/a/{number}")));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(futures::future::join_all(writers));
}
