//! Reading real repositories with the real `git`, over `file://` and over HTTP.

mod fixture;
mod http;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use self::fixture::{Origin, Place};
use super::{Commit, Credentials, Error, Freshness, Repository};
use crate::source::tree::{self, Kind};

const AN_HOUR: Freshness = Freshness::AtMost(Duration::from_hours(1));

#[tokio::test]
async fn resolves_every_kind_of_revision() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    let first = origin.commit("a.yaml", "a: 1\n");
    origin.git(&["tag", "-a", "v1", "-m", "first"]);
    origin.git(&["tag", "light"]);
    origin.git(&["branch", "side/one"]);
    let second = origin.commit("a.yaml", "a: 2\n");
    let git = place.reader();
    let repository = origin.repository();
    for (revision, expected) in [
        ("", &second),
        ("HEAD", &second),
        ("main", &second),
        ("refs/heads/main", &second),
        ("v1", &first),
        ("light", &first),
        ("side/one", &first),
        ("refs/tags/v1", &first),
        (first.as_str(), &first),
        (&first.to_uppercase(), &first),
        (&first[..7], &first),
        (&second[..12], &second),
    ] {
        let commit = git.resolve(&repository, revision, AN_HOUR).await.unwrap();
        assert_eq!(&commit.sha, expected, "{revision}");
    }
    assert_eq!(place.count("ls-remote"), 1);
    assert_eq!(place.count("fetch"), 1);
}

#[tokio::test]
async fn says_which_revision_does_not_exist() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    let git = place.reader();
    let url = origin.url();
    let check = async |revision: &str, expected: &str| {
        let error = git.resolve(&origin.repository(), revision, Freshness::Now).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("HEAD", &format!("repository {url} has no commits, so there is no HEAD")).await;
    origin.commit("a.yaml", "a: 1\n");
    let missing =
        |name: &str| format!("revision `{name}` does not exist in {url}; name a branch, a tag or a commit");
    check("nope", &missing("nope")).await;
    check("abcdef0", &missing("abcdef0")).await;
    check("refs/heads/nope", &missing("refs/heads/nope")).await;
    let error = git.resolve(&origin.repository(), "1.2.*", Freshness::Now).await.unwrap_err();
    assert!(matches!(error, Error::Range { .. }), "{error}");
}

#[tokio::test]
async fn says_which_repository_does_not_exist() {
    let place = Place::new();
    let url = format!("file://{}/nothing", place.path().display());
    let error =
        place.reader().resolve(&Repository::new(url.clone()), "HEAD", Freshness::Now).await.unwrap_err();
    assert_eq!(error, Error::NotFound { repository: url });
}

#[tokio::test]
async fn reads_the_files_of_a_commit() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    origin.write("app/run.sh", "#!/bin/sh\n");
    fs::set_permissions(origin.path().join("app/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    origin.write("app/sub/b.yaml", "b: 1\n");
    origin.write("app.yaml", "top: 1\n");
    std::os::unix::fs::symlink("../app.yaml", origin.path().join("app/link.yaml")).unwrap();
    let sha = origin.commit("app/a.yaml", "a: 1\n");
    let tree = place.reader().tree(&origin.repository(), &Commit { sha }).await.unwrap();

    let kinds = |path| {
        tree.list(path).unwrap().into_iter().map(|(name, entry)| (name, entry.kind)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(""), [("app".into(), Kind::Directory), ("app.yaml".into(), Kind::File)]);
    assert_eq!(
        kinds("./app/"),
        [
            ("a.yaml".to_owned(), Kind::File),
            ("link.yaml".into(), Kind::Symlink),
            ("run.sh".into(), Kind::Executable),
            ("sub".into(), Kind::Directory),
        ]
    );
    assert_eq!(tree.read("app/sub/b.yaml", 5).unwrap(), b"b: 1\n");
    assert_eq!(tree.size("app/sub/b.yaml").unwrap(), 5);
    assert_eq!(tree.link("app/link.yaml").unwrap(), "../app.yaml");
    assert_eq!(tree.entry("").unwrap().unwrap().id, tree.id());
    assert_eq!(tree.entry("app/sub/b.yaml/c").unwrap(), None);
    assert_eq!(tree.entry("app/../app").unwrap(), None);
    assert_eq!(tree.entry("app/nope").unwrap(), None);
    let text = |error: tree::Error| error.to_string();
    assert_eq!(
        tree.read("app/a.yaml", 4).map_err(text),
        Err("`app/a.yaml` has 5 bytes, and at most 4 are read".into())
    );
    assert_eq!(tree.read("app/sub", 4).map_err(text), Err("`app/sub` is not a file".into()));
    assert_eq!(tree.read("nope", 4).map_err(text), Err("`nope` does not exist".into()));
    assert_eq!(tree.list("app/a.yaml").map_err(text), Err("`app/a.yaml` is not a directory".into()));
    assert_eq!(tree.link("app/a.yaml").map_err(text), Err("`app/a.yaml` is not a symbolic link".into()));
}

#[tokio::test]
async fn equal_content_has_equal_ids_in_all_commits() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    let first = origin.commit("app/a.yaml", "a: 1\n");
    let second = origin.commit("other/b.yaml", "b: 1\n");
    let git = place.reader();
    let app = async |sha: &str| {
        let tree = git.tree(&origin.repository(), &Commit { sha: sha.into() }).await.unwrap();
        tree.entry("app").unwrap().unwrap().id
    };
    assert_eq!(app(&first).await, app(&second).await);
    assert_eq!(place.count("fetch"), 1, "one fetch brings both");
}

#[tokio::test]
async fn follows_rewritten_history() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    origin.commit("a.yaml", "a: 1\n");
    let git = place.reader();
    let repository = origin.repository();
    origin.git(&["branch", "team"]);
    let old = origin.commit("a.yaml", "a: 2\n");
    let before = git.tree(&repository, &Commit { sha: old.clone() }).await.unwrap();
    // A branch gives way to a directory of branches, and the newest commit is replaced.
    origin.git(&["branch", "-D", "team"]);
    origin.git(&["branch", "team/a"]);
    origin.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let new = origin.commit("a.yaml", "a: 3\n");
    let commit = git.resolve(&repository, "main", Freshness::Now).await.unwrap();
    assert_eq!(commit.sha, new);
    let after = git.tree(&repository, &commit).await.unwrap();
    assert_eq!(after.read("a.yaml", 99).unwrap(), b"a: 3\n");
    assert_eq!(before.read("a.yaml", 99).unwrap(), b"a: 2\n");
    assert!(git.resolve(&repository, "team", Freshness::Now).await.is_err());
    // A reader that never saw the old commit gets it by its id; a commit that never was is named.
    let elsewhere = Place::new();
    let tree = elsewhere.reader().tree(&repository, &Commit { sha: old }).await.unwrap();
    assert_eq!(tree.read("a.yaml", 99).unwrap(), b"a: 2\n");
    let sha = "1234567890123456789012345678901234567890".to_owned();
    let error = git.tree(&repository, &Commit { sha: sha.clone() }).await.unwrap_err();
    assert_eq!(error, Error::Commit { repository: origin.url(), sha });
}

#[tokio::test]
async fn a_tag_or_a_file_taken_for_a_commit() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    origin.commit("a.yaml", "a: 1\n");
    origin.git(&["tag", "-a", "v1", "-m", "first"]);
    let git = place.reader();
    let tag = Commit { sha: origin.git(&["rev-parse", "refs/tags/v1"]) };
    assert_eq!(git.tree(&origin.repository(), &tag).await.unwrap().read("a.yaml", 99).unwrap(), b"a: 1\n");
    let blob = Commit { sha: origin.git(&["rev-parse", "HEAD:a.yaml"]) };
    let error = git.tree(&origin.repository(), &blob).await.unwrap_err();
    assert!(matches!(error, Error::Commit { .. }), "{error}");
    assert_eq!(place.count("init"), 1, "the mirror is not taken for damaged");
}

#[tokio::test]
async fn concurrent_readers_ask_once() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    origin.commit("a.yaml", "a: 1\n");
    let git = place.reader();
    let repository = origin.repository();
    let ask = async |freshness| {
        let all = (0..20).map(async |_| {
            let commit = git.resolve(&repository, "main", freshness).await.unwrap();
            git.tree(&repository, &commit).await.unwrap();
        });
        futures::future::join_all(all).await
    };
    ask(Freshness::Now).await;
    assert_eq!((place.count("ls-remote"), place.count("fetch")), (1, 1));
    ask(AN_HOUR).await;
    assert_eq!(place.count("ls-remote"), 1);
    ask(Freshness::Now).await;
    assert_eq!((place.count("ls-remote"), place.count("fetch")), (2, 1));
    // Failures are shared as well.
    fs::remove_dir_all(origin.path()).unwrap();
    let all = (0..20).map(|_| git.resolve(&repository, "main", Freshness::Now));
    assert!(futures::future::join_all(all).await.iter().all(Result::is_err));
    assert_eq!(place.count("ls-remote"), 3);
    // What was learned before is in doubt now, also for those whom it would have satisfied.
    assert!(git.resolve(&repository, "main", AN_HOUR).await.is_err());
    assert_eq!(place.count("ls-remote"), 3);
}

#[tokio::test]
async fn several_processes_share_a_directory() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    let sha = origin.commit("a.yaml", "a: 1\n");
    let readers: Vec<_> = (0..4).map(|_| place.reader()).collect();
    let all =
        readers.iter().map(async |git| git.tree(&origin.repository(), &Commit { sha: sha.clone() }).await);
    for tree in futures::future::join_all(all).await {
        assert_eq!(tree.unwrap().read("a.yaml", 99).unwrap(), b"a: 1\n");
    }
    assert_eq!(place.count("fetch"), 1);
}

#[tokio::test]
async fn recovers_from_what_a_killed_process_left() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    let first = origin.commit("a.yaml", "a: 1\n");
    let read = async |sha: &str| {
        let tree = place.reader().tree(&origin.repository(), &Commit { sha: sha.into() }).await.unwrap();
        tree.read("a.yaml", 99).unwrap()
    };
    read(&first).await;
    let mirror = place.mirror();
    fs::write(mirror.join("packed-refs.lock"), "").unwrap();
    fs::write(mirror.join("refs/heads/main.lock"), "").unwrap();
    fs::write(mirror.join("objects/pack/tmp_pack_x"), "half").unwrap();
    let second = origin.commit("a.yaml", "a: 2\n");
    assert_eq!(read(&second).await, b"a: 2\n");
    assert!(!mirror.join("objects/pack/tmp_pack_x").exists());
    // Half made: the directory exists but is no repository; and an attempt beside it was cut off.
    fs::remove_file(mirror.join("HEAD")).unwrap();
    fs::create_dir_all(mirror.with_extension("new").join("objects")).unwrap();
    assert_eq!(read(&second).await, b"a: 2\n");
    assert_eq!(place.count("init"), 2);
}

#[tokio::test]
async fn a_damaged_mirror_is_made_anew() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    let sha = origin.commit("a.yaml", &"a: 1\n".repeat(1000));
    let git = place.reader();
    let commit = Commit { sha };
    let object = origin.git(&["rev-parse", "HEAD:a.yaml"]);
    git.tree(&origin.repository(), &commit).await.unwrap();
    place.spoil(&object);
    let tree = git.tree(&origin.repository(), &commit).await.unwrap();
    let error = tree.read("a.yaml", 1 << 20).unwrap_err();
    assert!(matches!(error, tree::Error::Damaged { .. }), "{error}");
    let tree = git.tree(&origin.repository(), &commit).await.unwrap();
    assert_eq!(tree.read("a.yaml", 1 << 20).unwrap().len(), 5000);
}

#[tokio::test]
async fn trees_outlive_repacking() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    let git = place.reader();
    let mut trees = Vec::new();
    for n in 0..20 {
        let sha = origin.commit("a.yaml", &format!("a: {n}\n"));
        trees.push(git.tree(&origin.repository(), &Commit { sha }).await.unwrap());
    }
    let mirror = place.mirror();
    place.git(&mirror, &["repack", "-adq"]);
    place.git(&mirror, &["prune-packed"]);
    for (n, tree) in trees.iter().enumerate() {
        assert_eq!(tree.read("a.yaml", 99).unwrap(), format!("a: {n}\n").as_bytes());
    }
}

#[tokio::test]
async fn arguments_cannot_be_smuggled_in() {
    let place = Place::new();
    let git = place.reader();
    let canary = place.path().join("canary");
    let touch = format!("touch {}", canary.display());
    for url in [
        format!("--upload-pack={touch}"),
        format!("ext::sh -c {touch}"),
        format!("ssh://-oProxyCommand={touch}/x"),
        format!("-oProxyCommand={touch}@host:x"),
        format!("file:///nowhere\n--upload-pack={touch}"),
        "fd::17/x".into(),
    ] {
        let error = git.resolve(&Repository::new(url.clone()), "HEAD", Freshness::Now).await.unwrap_err();
        assert!(matches!(error, Error::Url { .. }), "{url}: {error}");
    }
    let origin = Origin::new(&place, "shop");
    origin.commit("a.yaml", "a: 1\n");
    for revision in [format!("--upload-pack={touch}"), format!("main --exec={touch}"), "-h".into()] {
        let error = git.resolve(&origin.repository(), &revision, Freshness::Now).await.unwrap_err();
        assert!(matches!(error, Error::Revision { .. }), "{revision}: {error}");
    }
    assert!(!canary.exists());
}

#[tokio::test]
async fn own_mirrors_are_out_of_bounds() {
    let place = Place::new();
    let origin = Origin::new(&place, "shop");
    let sha = origin.commit("a.yaml", "a: 1\n");
    let git = place.reader();
    git.tree(&origin.repository(), &Commit { sha }).await.unwrap();
    std::os::unix::fs::symlink(place.mirror(), place.path().join("detour")).unwrap();
    for path in [place.mirror(), place.path().join("detour"), place.mirror().join("../../detour/.")] {
        let url = format!("file://{}", path.display());
        let error = git.resolve(&Repository::new(url), "HEAD", Freshness::Now).await.unwrap_err();
        assert!(matches!(error, Error::Url { .. }), "{error}");
    }
}

#[tokio::test]
async fn what_takes_too_long_is_ended_with_all_it_started() {
    let place = Place::new();
    let pid = place.path().join("pid");
    place.script(&format!("sleep 600 & echo $! > {}.part; mv {0}.part {0}; wait", pid.display()));
    let mut settings = place.settings();
    settings.timeout = Duration::from_secs(1);
    let git = super::Git::new(settings);
    let error =
        git.resolve(&Repository::new("https://h.example/r"), "HEAD", Freshness::Now).await.unwrap_err();
    assert_eq!(error.to_string(), "repository https://h.example/r did not answer within 1 s");
    let pid = fs::read_to_string(pid).unwrap();
    let ended = || {
        let state = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    };
    let died = async {
        while !ended() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), died).await.expect("the helper goes on");
}

#[tokio::test]
async fn secrets_are_in_no_argument_and_no_message() {
    let place = Place::new();
    place.script("echo \"fatal: server said: $GITOPSD_PASSWORD is wrong\" >&2; exit 128");
    let git = place.reader();
    let credentials = Credentials::Password { username: "me".into(), password: "s3cret-token".into() };
    let given =
        Repository { credentials: Some(credentials.clone()), ..Repository::new("https://h.example/r") };
    let written = Repository::new("https://me:s3cret-token@h.example/r");
    for repository in [given, written] {
        let error = git.resolve(&repository, "HEAD", Freshness::Now).await.unwrap_err();
        assert_eq!(error.to_string(), "git failed on https://h.example/r: server said: … is wrong");
    }
    assert!(!place.log().contains("s3cret"));
    assert!(!format!("{credentials:?} {:?}", Credentials::Bearer("s3cret".into())).contains("s3cret"));
}

#[tokio::test]
async fn credentials_must_fit_the_url() {
    let place = Place::new();
    let git = place.reader();
    let password =
        |password: &str| Credentials::Password { username: "me".into(), password: password.into() };
    let check = async |url: &str, credentials, expected: &str| {
        let repository = Repository { credentials: Some(credentials), ..Repository::new(url) };
        let error = git.resolve(&repository, "HEAD", Freshness::Now).await.unwrap_err();
        assert_eq!(error.to_string(), format!("the credentials for {url} cannot be used: {expected}"));
    };
    check("git@h.example:r", password("x"), "ssh takes a private key").await;
    check(
        "https://h.example/r",
        Credentials::SshKey("k".into()),
        "http takes a password or a token, not a private key",
    )
    .await;
    check("https://h.example/r", password("x\nhost=evil"), "they contain a line break").await;
    check("file:///srv/r", Credentials::Bearer("x".into()), "this kind of URL takes none").await;
}

#[tokio::test]
async fn an_ssh_key_lives_as_long_as_the_process_that_needs_it() {
    let place = Place::new();
    let seen = place.path().join("seen");
    place.script(&format!(
        "echo \"$GIT_SSH_COMMAND\" > {0}; stat -c '%a %n' {1}/access-* >> {0}; exit 1",
        seen.display(),
        place.mirrors().display()
    ));
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cret\n-----END OPENSSH PRIVATE KEY-----";
    let repository = Repository {
        credentials: Some(Credentials::SshKey(key.into())),
        ..Repository::new("git@h.example:r")
    };
    place.reader().resolve(&repository, "HEAD", Freshness::Now).await.unwrap_err();
    let seen = fs::read_to_string(seen).unwrap();
    for part in ["BatchMode=yes", "IdentitiesOnly=\"yes\"", "StrictHostKeyChecking=\"accept-new\"", "\n600 "]
    {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let left: Vec<_> =
        fs::read_dir(place.mirrors()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("access-")), "{left:?}");
}
