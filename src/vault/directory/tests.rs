use super::*;
use std::fs::FileTimes;

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a").join("vault");
    assert!(Directory::existing(&path).unwrap().is_none());
    let directory = Directory::ensure(&path).unwrap();
    assert!(directory.read("x").unwrap().is_none());
    directory.replace("x", b"one").unwrap();
    directory.replace("x", b"two").unwrap();
    assert_eq!(directory.read("x").unwrap().unwrap(), b"two");
    assert_eq!(names(&path), ["x"]);
    assert!(directory.remove("x").unwrap());
    assert!(!directory.remove("x").unwrap());
}

#[test]
fn what_crashed_writers_left_goes_when_it_is_old() {
    let home = tempfile::tempdir().unwrap();
    let directory = Directory::ensure(home.path()).unwrap();
    for name in [".x.00.tmp", ".x.01.tmp", "mine.tmp"] {
        fs::write(home.path().join(name), "half a rec").unwrap();
    }
    let made = fs::metadata(home.path().join("mine.tmp")).unwrap();
    let long_ago = FileTimes::new().set_modified(made.modified().unwrap() - 2 * LEFT_BEHIND);
    for name in [".x.00.tmp", "mine.tmp"] {
        let file = OpenOptions::new().write(true).open(home.path().join(name)).unwrap();
        file.set_times(long_ago).unwrap();
    }
    directory.replace("x", b"one").unwrap();
    let mut left = names(home.path());
    left.sort();
    assert_eq!(left, [".x.01.tmp", "mine.tmp", "x"]);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    fn refused(error: &VaultError) -> bool {
        matches!(error, VaultError::Unsafe { .. })
    }

    #[test]
    fn directories_and_files_are_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a").join("vault");
        let directory = Directory::ensure(&path).unwrap();
        directory.replace("x", b"one").unwrap();
        drop(directory.open_lock("x.lock").unwrap());
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("x")), 0o600);
        assert_eq!(mode(&path.join("x.lock")), 0o600);
    }

    #[test]
    fn what_is_open_to_others_is_closed() {
        let home = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        for open in [0o755, 0o777, 0o710, 0o000, 0o500] {
            set(home.path(), open);
            Directory::existing(home.path()).unwrap().unwrap();
            assert_eq!(mode(home.path()), 0o700, "was {open:o}");
        }
        let directory = Directory::ensure(home.path()).unwrap();
        directory.replace("x", b"one").unwrap();
        set(&home.path().join("x"), 0o644);
        directory.read("x").unwrap();
        assert_eq!(mode(&home.path().join("x")), 0o600);
    }

    #[test]
    fn a_planted_link_is_never_followed() {
        let home = tempfile::tempdir().unwrap();
        let victim = home.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("x"), "theirs").unwrap();
        let link = home.path().join("vault");
        symlink(&victim, &link).unwrap();
        assert!(refused(&Directory::ensure(&link).err().unwrap()));
        assert_ne!(mode(&victim), 0o700, "the link's target was changed");

        let directory = Directory::ensure(&home.path().join("own")).unwrap();
        for name in ["x", "y"] {
            symlink(victim.join("x"), directory.path_of(name)).unwrap();
        }
        assert!(refused(&directory.read("x").unwrap_err()));
        assert!(refused(&directory.open_lock("x").unwrap_err()));
        directory.replace("x", b"ours").unwrap();
        assert_eq!(directory.read("x").unwrap().unwrap(), b"ours");
        assert!(directory.remove("y").unwrap());
        assert_eq!(fs::read(victim.join("x")).unwrap(), b"theirs");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::ensure(home.path()).unwrap();
        fs::create_dir(directory.path_of("x")).unwrap();
        assert!(refused(&directory.read("x").unwrap_err()));
        let pipe = directory.path_of("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(refused(&directory.read("pipe").unwrap_err()));
    }

    #[test]
    fn a_directory_of_someone_else_is_refused() {
        // Whoever runs this owns one of the two at most.
        if rustix::process::geteuid().is_root() {
            let home = tempfile::tempdir().unwrap();
            std::os::unix::fs::chown(home.path(), Some(12345), None).unwrap();
            assert!(refused(&Directory::existing(home.path()).err().unwrap()));
        } else {
            assert!(refused(&Directory::existing(Path::new("/")).err().unwrap()));
        }
    }
}
