//! Both spaces of the file checks, on real files in a directory that is removed afterwards.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;
use crate::platform::state_directory::tests::Scratch;

fn file(scratch: &Scratch, name: &str, mode: u32) -> FileSource {
    let path = scratch.path(name);
    std::fs::write(&path, b"content").unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    FileSource::Path(path)
}

#[test]
fn a_source_is_an_absolute_path_or_a_credential() {
    assert_eq!("/etc/tallyd/key".parse(), Ok(FileSource::Path(PathBuf::from("/etc/tallyd/key"))));
    assert_eq!("credential:sealing-key".parse(), Ok(FileSource::Credential("sealing-key".to_owned())));
    for text in ["", "key", "./key", "credential:", "credential:..", "credential:a/b", "credential:.a", "/a\0b"] {
        assert_eq!(text.parse::<FileSource>(), Err(NotAFileSource), "{text:?}");
    }
}

#[test]
fn a_secret_of_ours_is_read() {
    let scratch = Scratch::new("secret");
    for mode in [0o600, 0o400] {
        assert_eq!(read_secret(&file(&scratch, &format!("{mode}"), mode)).unwrap().as_slice(), b"content");
    }
}

#[test]
fn a_secret_that_others_may_touch_is_refused_and_the_remedy_named() {
    let scratch = Scratch::new("modes");
    for mode in [0o640, 0o604, 0o660, 0o602, 0o777] {
        let refused = read_secret(&file(&scratch, &format!("{mode}"), mode)).unwrap_err();
        assert!(matches!(refused.why, Why::Mode { mode: found, .. } if found == mode), "{refused}");
        assert!(refused.hint().starts_with("chmod 0600 /"), "{}", refused.hint());
    }
}

#[test]
fn a_secret_behind_a_link_in_a_pipe_or_too_long_is_refused() {
    let scratch = Scratch::new("kinds");
    let real = file(&scratch, "real", 0o600);
    symlink(real.path().unwrap(), scratch.path("link")).unwrap();
    let read = |name: &str| read_secret(&FileSource::Path(scratch.path(name)));
    assert!(matches!(read("link").unwrap_err().why, Why::SymbolicLink));
    assert!(matches!(read("absent").unwrap_err().why, Why::System { .. }));
    std::fs::create_dir(scratch.path("directory")).unwrap();
    assert!(matches!(read("directory").unwrap_err().why, Why::NotRegular));
    rustix::fs::mknodat(rustix::fs::CWD, scratch.path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(matches!(read("pipe").unwrap_err().why, Why::NotRegular));
    std::fs::write(scratch.path("long"), vec![0; 64 * 1024 + 1]).unwrap();
    std::fs::set_permissions(scratch.path("long"), Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(read("long").unwrap_err().why, Why::TooLong { .. }));
}

#[test]
fn a_credential_of_the_service_manager_may_show_a_group_and_nothing_more() {
    let scratch = Scratch::new("credentials");
    let directory = scratch.path("key").parent().unwrap().to_owned();
    let credential = FileSource::Credential("key".to_owned());
    for (mode, accepted) in [(0o400, true), (0o440, true), (0o460, false), (0o444, false)] {
        file(&scratch, "key", mode);
        assert_eq!(read_secret_with(&credential, Some(&directory)).is_ok(), accepted, "{mode:o}");
        std::fs::remove_file(scratch.path("key")).unwrap();
    }
    let refused = read_secret_with(&credential, None).unwrap_err();
    assert!(
        refused.to_string().starts_with("credential:key: ") && refused.hint().contains("CREDENTIALS_DIRECTORY="),
        "{refused}"
    );
}

#[test]
fn a_secret_of_a_stranger_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new("owner");
    let source = file(&scratch, "key", 0o600);
    std::os::unix::fs::chown(source.path().unwrap(), Some(4242), None).unwrap();
    assert!(matches!(read_secret(&source).unwrap_err().why, Why::Owner { uid: 4242 }));
}

#[test]
fn a_public_file_may_be_read_by_all_and_reached_by_a_link_but_written_by_nobody_else() {
    let scratch = Scratch::new("public");
    let certificate = file(&scratch, "certificate", 0o644);
    symlink(certificate.path().unwrap(), scratch.path("link")).unwrap();
    assert_eq!(read_public(&FileSource::Path(scratch.path("link"))).unwrap(), b"content");
    for mode in [0o664, 0o646] {
        let refused = read_public(&file(&scratch, &format!("{mode}"), mode)).unwrap_err();
        assert!(refused.hint().starts_with("chmod go-w /"), "{refused}");
    }
}

#[test]
fn a_new_file_is_private_and_never_overwrites() {
    let scratch = Scratch::new("new");
    let path = scratch.path("key");
    write_new(&path, b"one").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    let refused = write_new(&path, b"two").unwrap_err();
    assert!(refused.hint().contains("nothing was overwritten"));
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
}

#[test]
fn where_there_are_no_unnamed_files_a_new_one_is_as_private_and_overwrites_as_little() {
    let scratch = Scratch::new("named");
    let path = scratch.path("key");
    write_under_its_name(&path, b"one").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert!(write_under_its_name(&path, b"two").is_err());
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
}

#[test]
fn replacing_leaves_the_new_content_and_nothing_beside_it_even_after_a_crash() {
    let scratch = Scratch::new("replace");
    let path = scratch.path("fence");
    replace(&path, b"one").unwrap();
    std::fs::write(scratch.path("fence.new"), b"half of a new cont").unwrap();
    replace(&path, b"two").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"two");
    assert!(!scratch.path("fence.new").exists());
}

#[test]
fn erasing_overwrites_the_blocks_before_the_name_goes() {
    let scratch = Scratch::new("erase");
    let path = scratch.path("epoch");
    write_new(&path, b"salt of an epoch").unwrap();
    // A second name shows what became of the content.
    std::fs::hard_link(&path, scratch.path("witness")).unwrap();
    erase(&path).unwrap();
    assert!(!path.exists());
    assert_eq!(std::fs::read(scratch.path("witness")).unwrap(), [0; 16]);
}
