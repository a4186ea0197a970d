//! What is said about small files.

use super::super::rdb::{push_length, push_millis, push_object, push_string};
use super::*;
use crate::base::crc64::crc64;
use crate::types::list::{End, List};
use crate::types::object::{Kind, Object};
use std::path::PathBuf;

/// A file of its own for a test, gone when dropped.
struct Written(PathBuf);

impl Written {
    fn new(name: &str, bytes: &[u8]) -> Written {
        let path = std::env::temp_dir().join(format!("larder-inspect-{}-{name}.rdb", std::process::id()));
        std::fs::write(&path, bytes).expect("a file can be written");
        Written(path)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn push_entry(file: &mut Vec<u8>, key: &str, value: &str) {
    file.push(0);
    push_string(file, key.as_bytes(), false);
    push_string(file, value.as_bytes(), false);
}

fn push_expiry(file: &mut Vec<u8>, millis: i64) {
    file.push(252);
    push_millis(file, millis);
}

/// Three strings and a list in two databases; one of them has expired, and one will in the far future.
fn sample() -> Vec<u8> {
    let mut file = b"REDIS0011".to_vec();
    for (name, value) in [("redis-ver", "7.2.4"), ("ctime", "1700000000")] {
        file.push(250);
        push_string(&mut file, name.as_bytes(), false);
        push_string(&mut file, value.as_bytes(), false);
    }
    file.push(254);
    push_length(&mut file, 0);
    push_entry(&mut file, "user:1:name", "larder");
    push_expiry(&mut file, 1_600_000_000_000);
    push_entry(&mut file, "user:2:name", "cellar");
    file.push(254);
    push_length(&mut file, 3);
    push_expiry(&mut file, 9_000_000_000_000);
    push_entry(&mut file, "greeting", "hello");
    let mut list = List::new();
    list.push(End::Tail, [&b"a"[..], b"b", b"c"].into_iter(), &Limits::default().list);
    let mut value = Vec::new();
    let object: Object = list.into_object();
    push_object(&mut value, &object, false);
    file.push(value[0]);
    push_string(&mut file, b"jobs\x1b", false);
    file.extend_from_slice(&value[1..]);
    file.push(255);
    let sum = crc64(0, &file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

/// What one of the two says of these bytes; the path and the time, which differ, are taken out.
fn said(name: &str, bytes: &[u8], look: impl Fn(&Path) -> Found) -> (String, Option<String>) {
    let written = Written::new(name, bytes);
    let found = look(&written.0);
    let path = written.0.display().to_string();
    let without = |text: String| text.replace(&path, "FILE");
    (without(found.text), found.error.map(without))
}

/// One of the two.
type Look = fn(&Path, bool, &mut dyn FnMut(u64, u64)) -> Found;

fn quiet(look: Look, json: bool) -> impl Fn(&Path) -> Found {
    move |path| look(path, json, &mut |_, _| ())
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}\n--- is not in\n{text}");
    }
}

#[test]
fn a_sound_file_is_described() {
    let (text, error) = said("sound", &sample(), quiet(check, false));
    assert_eq!(error, None);
    has(
        &text,
        &[
            "FILE: a sound RDB file\n",
            "  format      11 of Redis\n",
            "  written by  Redis 7.2.4\n",
            "  written at  2023-11-14 22:13:20 UTC\n",
            "  keys        4, 2 expire, 1 of them have expired\n",
            "db0: 2, 1 expire, 1 of them have expired\n",
            "db3: 2, 1 expire\n",
            "  check sum   right\n",
        ],
    );
    let (json, _) = said("sound-json", &sample(), quiet(check, true));
    has(
        &json,
        &[
            r#"{"file":"FILE","sound":true,"format":11,"written_by":"Redis 7.2.4","written_at":1700000000,"databases":[{"database":0,"#,
            r#""checksum":"right""#,
            r#""keys":4,"expiring":2,"expired":1}"#,
        ],
    );
}

#[test]
fn a_damaged_file_is_told_with_place_and_advice() {
    let mut file = sample();
    let at = file.windows(4).position(|bytes| bytes == b"jobs").expect("it is there");
    file[at + 6] = 0xff;
    let (text, error) = said("damaged", &file, quiet(check, false));
    assert_eq!(text, "");
    let error = error.expect("it is damaged");
    has(
        &error,
        &[
            &format!("FILE: at byte {}: a value that is cut short or contradicts itself (key \"jobs\\x1b\")\n", at - 2),
            "  3 keys were read well before, the last is \"greeting\"\n",
            "copy it anew",
        ],
    );
    let (json, error) = said("damaged-json", &file, quiet(stats, true));
    assert!(error.is_some());
    has(&json, &[r#""sound":false,"error":"at byte "#, &format!(r#""offset":{}"#, at - 2), r#""keys_before":3}"#]);
}

#[test]
fn a_file_that_is_cut_short_is_told() {
    let file = sample();
    let (_, error) = said("short", &file[..file.len() - 9], quiet(check, false));
    has(&error.expect("it is cut short"), &["FILE: the file ends at byte", "the end mark is missing", "disk is full"]);
}

#[test]
fn what_is_no_rdb_file_is_told() {
    let checked = |bytes: &[u8], name: &str| said(name, bytes, quiet(check, false)).1.expect("it is none");
    has(&checked(b"", "empty"), &["FILE: the file is empty\n"]);
    has(&checked(b"*2\r\n$6\r\nSELECT", "aof"), &["FILE: this is no RDB file", "append-only"]);
    has(&checked(b"REDIS0013", "newer"), &["the format 13 of Redis"]);
    let folder = check(&std::env::temp_dir(), false, &mut |_, _| ());
    has(&folder.error.expect("it is none"), &["this is a folder", "dump.rdb"]);
    let missing = check(Path::new("/nowhere/dump.rdb"), true, &mut |_, _| ());
    has(&missing.error.expect("it is missing"), &["/nowhere/dump.rdb: there is no such file"]);
    has(&missing.text, &[r#""sound":false"#, r#""offset":null"#]);
}

#[test]
fn a_file_without_a_sum_is_sound_as_far_as_can_be_seen() {
    let mut file = sample();
    let sum = file.len() - 8;
    file[sum..].fill(0);
    file.extend_from_slice(b"more");
    let (text, error) = said("unsummed", &file, quiet(check, false));
    assert_eq!(error, None);
    has(&text, &["check sum   none was computed", "4 more behind the end"]);
}

#[test]
fn what_takes_the_room_is_told() {
    let (text, error) = said("stats", &sample(), quiet(stats, false));
    assert_eq!(error, None);
    has(
        &text,
        &[
            "FILE: 4 keys in ",
            "\nBy type\n  type    in the file as",
            "  string  string ",
            "  list    listpacks ",
            r#""jobs\x1b"     "#,
            r#"  "user:*:*""#,
            "\nBy time to live\n",
            "does not expire",
            "has expired",
            "30 days or more",
        ],
    );
    let (json, _) = said("stats-json", &sample(), quiet(stats, true));
    has(
        &json,
        &[
            r#"{"file":"FILE","keys":4,"bytes":"#,
            r#"{"type":"list","encoding":"listpacks","keys":1,"bytes":26,"elements":3}"#,
            r#"{"key":"user:2:name","key_bytes":11,"database":0,"type":"string","bytes":29,"elements":null}"#,
            r#"{"pattern":"user:*:*","keys":2,"#,
            r#""patterns_other":{"keys":0,"bytes":0},"patterns_complete":true"#,
            r#"{"left":"has expired","keys":1,"bytes":29}"#,
        ],
    );
}

#[test]
fn progress_is_told_in_bytes() {
    let file = sample();
    let written = Written::new("progress", &file);
    let mut told = Vec::new();
    check(&written.0, false, &mut |done, all| told.push((done, all)));
    assert_eq!(told, [(file.len() as u64, file.len() as u64)]);
}
