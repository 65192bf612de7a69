//! The files under `crds/` are what the types say.

use std::path::Path;

use gitopsd::api::crd;

#[test]
fn files_are_what_the_types_say() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let files = crd::files();
    let stale: Vec<&str> = files
        .iter()
        .filter(|file| std::fs::read_to_string(directory.join(&file.name)).ok().as_ref() != Some(&file.text))
        .map(|file| file.name.as_str())
        .collect();
    assert!(stale.is_empty(), "{stale:?} differ from the types; run `cargo run -- crds --dir crds`");
    let known = |name: &str| files.iter().any(|file| file.name == name);
    for entry in std::fs::read_dir(&directory).unwrap() {
        let name = entry.unwrap().file_name();
        assert!(known(&name.to_string_lossy()), "crds/{} is made from nothing; remove it", name.display());
    }
}
