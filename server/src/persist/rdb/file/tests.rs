//! Files there: every kind of item, all cuts, and damage.

use super::super::tests::shown;
use super::super::{push_length, push_millis, push_object, push_string};
use super::*;
use crate::types::hash::{Expiry, Hash};
use crate::types::item::Element;
use crate::types::list::{End as Side, List};
use crate::types::object::Kind;
use crate::types::set::Set;
use crate::types::zset::ZSet;

/// A file of a format, without its end.
fn start(magic: &str) -> Vec<u8> {
    magic.as_bytes().to_vec()
}

/// Ends a file with its sum.
fn seal(mut file: Vec<u8>) -> Vec<u8> {
    file.push(opcode::END);
    let sum = crc64(0, &file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

/// A file of format 11 with this between its head and its end.
fn sealed(items: &[u8]) -> Vec<u8> {
    seal([start("REDIS0011"), items.to_vec()].concat())
}

fn text(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_string(&mut out, text, true);
    out
}

fn aux(name: &str, value: &str) -> Vec<u8> {
    [vec![opcode::AUX], text(name.as_bytes()), text(value.as_bytes())].concat()
}

fn string_entry(key: &str, value: &str) -> Vec<u8> {
    [vec![0], text(key.as_bytes()), text(value.as_bytes())].concat()
}

fn object_entry(key: &str, object: impl Kind) -> Vec<u8> {
    let mut value = Vec::new();
    push_object(&mut value, &object.into_object(), true);
    [&value[..1], &text(key.as_bytes()), &value[1..]].concat()
}

fn numbers(opcode: u8, numbers: &[u64]) -> Vec<u8> {
    let mut out = vec![opcode];
    numbers.iter().for_each(|&number| push_length(&mut out, number));
    out
}

fn at_millis(millis: i64) -> Vec<u8> {
    let mut out = vec![opcode::EXPIRY_MS];
    push_millis(&mut out, millis);
    out
}

fn told(step: &Step) -> String {
    match step {
        Step::NeedMore => "more".into(),
        Step::Aux { name, value } => format!("aux {}={}", name.escape_ascii(), value.escape_ascii()),
        Step::Database(number) => format!("db {number}"),
        Step::Resize { keys, expiring } => format!("resize {keys} {expiring}"),
        Step::Entry(entry) => {
            let Entry { database, key, value, expiry_ms, idle_s, frequency, kind, bytes } = entry;
            let told = [("@", *expiry_ms), ("idle ", *idle_s), ("used ", frequency.map(u64::from))];
            let told = told.iter().filter_map(|(name, value)| value.map(|value| format!(" {name}{value}")));
            let (key, told, value) = (key.escape_ascii(), told.collect::<String>(), shown(value));
            format!("{database}/{key}{told} [{kind}, {bytes}] {value}")
        }
        Step::Library(code) => format!("library {}", code.escape_ascii()),
        Step::Skipped(skipped) => format!("{skipped:?}"),
        Step::End(checksum) => format!("end {checksum:?}"),
    }
}

/// What comes out of a file that is fed in pieces of so many bytes, up to its end or its error.
fn read_in(file: &[u8], piece: usize) -> (Vec<String>, Result<Checksum, FileError>) {
    let mut reader = FileReader::new(Limits::default());
    let mut seen = Vec::new();
    for bytes in file.chunks(piece) {
        reader.feed(bytes);
        loop {
            match reader.next() {
                Ok(Step::NeedMore) => break,
                Ok(Step::End(checksum)) => return (seen, Ok(checksum)),
                Ok(step) => seen.push(told(&step)),
                Err(error) => {
                    assert_eq!(reader.next().err(), Some(error.clone()), "an error stays");
                    assert_eq!(reader.end_of_input(), Err(error.clone()));
                    return (seen, Err(error));
                }
            }
        }
    }
    (seen, reader.end_of_input())
}

fn read(file: &[u8]) -> (Vec<String>, Result<Checksum, FileError>) {
    let whole = read_in(file, usize::MAX);
    for piece in [1, 2, 3, 7, 64] {
        assert_eq!(read_in(file, piece), whole, "in pieces of {piece}");
    }
    whole
}

/// The items of a file that is sound.
#[track_caller]
fn check(items: &[u8], expected: &[&str]) {
    assert_eq!(read(&sealed(items)), (expected.iter().map(|&line| line.to_owned()).collect(), Ok(Checksum::Right)));
}

/// What is said of a file that is not.
#[track_caller]
fn refused(file: &[u8]) -> String {
    read(file).1.expect_err("it is damaged").to_string()
}

/// A file with an item of every kind and a value of every type.
fn everything() -> Vec<u8> {
    let limits = Limits::default();
    let mut hash = Hash::new();
    hash.set(b"name", b"larder", Expiry::Clear, &limits.hash);
    let mut expiring = Hash::new();
    expiring.set(b"soon", b"gone", Expiry::Clear, &limits.hash);
    expiring.set_expiry(b"soon", Some(2_000_000_000_000));
    let mut list = List::new();
    list.push(Side::Tail, [&b"a"[..], b"12", b""].into_iter(), &limits.list);
    let mut set = Set::new();
    set.put(Element::of(b"x"), &limits.set);
    set.put(Element::of(b"y"), &limits.set);
    let mut zset = ZSet::new();
    zset.insert(b"one", 1.5, &limits.zset);
    seal(
        [
            start("REDIS0012"),
            aux("redis-ver", "7.4.0"),
            aux("redis-bits", "64"),
            [vec![opcode::MODULE_AUX], b"\x81\0\0\0\0\0\0\0\x07\x02\x02\x02\x05\x05\x03foo\x00".to_vec()].concat(),
            [vec![opcode::LIBRARY], text(b"#!lua name=lib\n")].concat(),
            numbers(opcode::DATABASE, &[0]),
            numbers(opcode::RESIZE, &[6, 1]),
            numbers(opcode::SLOT_INFO, &[1, 2, 3]),
            string_entry("greeting", "hello"),
            at_millis(1_900_000_000_000),
            numbers(opcode::IDLE, &[300]),
            string_entry("number", "12345"),
            [vec![opcode::FREQUENCY, 200], string_entry("long", &"again and again ".repeat(20))].concat(),
            object_entry("hash", hash),
            object_entry("expiring", expiring),
            object_entry("list", list),
            numbers(opcode::DATABASE, &[300]),
            object_entry("set", set),
            object_entry("zset", zset),
            numbers(2, &[]),
            text(b"empty"),
            vec![0],
        ]
        .concat(),
    )
}

#[test]
fn every_kind_of_item_comes_out() {
    let (seen, end) = read(&everything());
    assert_eq!(end, Ok(Checksum::Right));
    assert_eq!(
        seen,
        [
            "aux redis-ver=7.4.0",
            "aux redis-bits=64",
            "ModuleAux(7)",
            r"library #!lua name=lib\n",
            "db 0",
            "resize 6 1",
            "SlotInfo",
            "0/greeting [0, 16] string hello",
            "0/number @1900000000000 idle 300 [0, 23] string 12345",
            &format!("0/long used 200 [0, 33] string {}", "again and again ".repeat(20)),
            r#"0/hash [16, 28] hash listpack: "name"="larder""#,
            r#"0/expiring [25, 48] hash listpackex: "soon"="gone"@2000000000000"#,
            r#"0/list [18, 23] list listpack: "a" "12" """#,
            "db 300",
            r#"300/set [20, 19] set listpack: "x" "y""#,
            "300/zset [17, 24] zset listpack: one=1.5",
            r"Empty { database: 300, key: [101, 109, 112, 116, 121], kind: 2 }",
        ]
    );
}

#[test]
fn what_is_said_of_a_key_holds_for_that_key_alone() {
    let seconds = [&[opcode::EXPIRY_S][..], &1_700_000_000u32.to_le_bytes()].concat();
    let before = [&[opcode::EXPIRY_S][..], &(-5i32).to_le_bytes()].concat();
    let items = [
        seconds,
        string_entry("a", "1"),
        string_entry("b", "2"),
        before,
        string_entry("c", "3"),
        at_millis(-1),
        string_entry("d", "4"),
        at_millis(-2),
        string_entry("e", "5"),
        at_millis(5),
        b"\x02\x05empty\x00".to_vec(),
        string_entry("f", "6"),
    ];
    check(
        &items.concat(),
        &[
            "0/a @1700000000000 [0, 10] string 1",
            "0/b [0, 5] string 2",
            "0/c @1 [0, 10] string 3",
            "0/d [0, 14] string 4",
            "0/e @1 [0, 14] string 5",
            "Empty { database: 0, key: [101, 109, 112, 116, 121], kind: 2 }",
            "0/f [0, 5] string 6",
        ],
    );
}

#[test]
fn a_file_of_before_sums_ends_with_its_mark() {
    let (seen, end) = read(b"REDIS0003\xfe\x00\x00\x01a\x01b\xff");
    assert_eq!((seen, end), (vec!["db 0".into(), "0/a [0, 5] string b".into()], Ok(Checksum::Absent)));
}

#[test]
fn formats_that_are_read_are_those_of_single_values() {
    for version in 1..=12 {
        let file = seal(format!("REDIS{version:04}").into_bytes());
        let expected = if version < 5 { Checksum::Absent } else { Checksum::Right };
        assert_eq!(read(&file), (vec![], Ok(expected)), "{version}");
    }
    assert_eq!(read(&seal(start("VALKEY080"))), (vec![], Ok(Checksum::Right)));
    for (magic, expected) in [
        ("REDIS0013", "at byte 0: the format 13 of Redis; read are 1 to 12 of Redis and 80 of Valkey"),
        ("REDIS0080", "at byte 0: the format 80 of Redis; read are"),
        ("REDIS0000", "at byte 0: the format 0 of Redis; read are"),
        ("VALKEY011", "at byte 0: the format 11 of Valkey; read are"),
        ("VALKEY081", "at byte 0: the format 81 of Valkey; read are"),
        ("REDIS+011", "this is no RDB file"),
        ("VALKEYxxx", "this is no RDB file"),
        ("PK\u{3}\u{4}", "this is no RDB file"),
        ("REDIX", "this is no RDB file"),
    ] {
        let said = refused(&seal(start(magic)));
        assert!(said.starts_with(expected), "{magic}: {said}");
    }
    assert_eq!(refused(b""), "the file is empty");
}

#[test]
fn items_of_valkey_are_read_in_its_format_alone() {
    let import = [&[opcode::SLOT_IMPORT][..], &text(b"job"), b"\x02\x00\x05\x40\x40\x40\x41"].concat();
    let hash = b"\x16\x01h\x01\x01f\x01v\x00\x20\x4a\xa9\xd1\x01\x00\x00".to_vec();
    let (seen, end) = read(&seal([start("VALKEY080"), import.clone(), hash].concat()));
    assert_eq!(end, Ok(Checksum::Right));
    assert_eq!(seen, ["SlotImport([106, 111, 98])", r#"0/h [22, 16] hash listpackex: "f"="v"@2000000000000"#]);
    assert_eq!(refused(&sealed(&import)), "at byte 9: an item of the unknown kind 243");
}

#[test]
fn items_that_are_not_known_are_named() {
    let items = string_entry("a", "1");
    let with = |more: &[u8]| refused(&sealed(&[&items, more].concat()));
    assert_eq!(with(b"\xf6"), "at byte 14: an item of the unknown kind 246");
    assert_eq!(with(b"\xf1"), "at byte 14: an item of the unknown kind 241");
    assert_eq!(with(b"\x1a\x01k"), "at byte 14: a value of the unknown type 26 (key \"k\")");
    assert_eq!(
        with(b"\x07\x01k\x01\x00"),
        "at byte 14: a value of a module's (type 7), and Larder has no modules; of their values it reads RedisBloom's filters \
         alone (key \"k\")"
    );
}

#[test]
fn an_error_says_where_its_item_begins_and_its_key() {
    let damaged = [at_millis(7), b"\x0d\x03foo\x05world".to_vec()].concat();
    let said = refused(&sealed(&[string_entry("a", "1"), damaged].concat()));
    assert_eq!(said, "at byte 14: a value that is cut short or contradicts itself (key \"foo\")");
    let long = [b"\x01".to_vec(), text(&[0xff; 100]), vec![0x82]].concat();
    let said = refused(&sealed(&long));
    assert!(said.contains(r#"(key "\xff\xff"#) && said.ends_with("...)") && said.len() < 400, "{said}");
}

#[test]
fn a_wrong_sum_is_told_and_one_of_zero_means_none() {
    let mut file = everything();
    let at = file.len() - 8;
    file[at] ^= 1;
    assert!(refused(&file).contains("the check sum is"), "{}", refused(&file));
    file[at..].fill(0);
    assert_eq!(read(&file).1, Ok(Checksum::Absent));
}

#[test]
fn what_stands_behind_the_end_is_left_alone() {
    let mut reader = FileReader::new(Limits::default());
    reader.feed(&sealed(b""));
    reader.feed(b"*1\r\n");
    for _ in 0..2 {
        assert!(matches!(reader.next(), Ok(Step::End(Checksum::Right))));
    }
    assert_eq!((reader.unread(), reader.offset()), (&b"*1\r\n"[..], 18));
    assert_eq!(reader.end_of_input(), Ok(Checksum::Right));
}

#[test]
fn a_file_that_is_cut_short_anywhere_is_refused() {
    let file = everything();
    for end in 1..file.len() {
        let (_, read) = read_in(&file[..end], usize::MAX);
        let error = read.expect_err("it is cut short");
        assert_eq!(error.problem, Problem::Truncated { end: end as u64 }, "{error}");
    }
    assert_eq!(refused(&file[..20]), "the file ends at byte 20, inside of the item that begins at byte 9");
    let entry = file.windows(8).position(|bytes| bytes == b"greeting").expect("it is there");
    let begin = entry - 2;
    assert_eq!(
        refused(&file[..entry + 8]),
        format!(
            "the file ends at byte {}, inside of the item that begins at byte {begin} (key \"greeting\")",
            entry + 8
        )
    );
    assert_eq!(
        refused(&file[..begin]),
        format!("the file ends at byte {begin}, where another item or the end mark is missing")
    );
}

#[test]
fn every_bit_that_flips_is_found() {
    let file = everything();
    // The version is left out: some of the others have no sum.
    for bit in (0..5 * 8).chain(9 * 8..file.len() * 8) {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        // No single bit of this sum makes it zero.
        assert!(read_in(&damaged, usize::MAX).1.is_err(), "bit {bit}");
    }
    // Without a sum damage may go unseen, but not unharmed.
    let sum = file.len() - 8;
    for bit in 0..sum * 8 {
        let mut damaged = file.clone();
        damaged[sum..].fill(0);
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read_in(&damaged, usize::MAX), read_in(&damaged, 5), "bit {bit}");
    }
}

#[test]
fn what_is_promised_takes_no_memory() {
    let huge = b"\x81\x10\0\0\0\0\0\0\0";
    for kind in [0u8, 1, 2, 3, 4, 5, 11, 14, 18, 21, 22, opcode::AUX, opcode::LIBRARY] {
        let key: &[u8] = if kind < opcode::FIRST { b"\x01k" } else { b"" };
        let mut reader = FileReader::new(Limits::default());
        reader.feed(&[b"REDIS0012", &[kind][..], key, huge, huge].concat());
        assert!(matches!(reader.next(), Ok(Step::NeedMore)), "{kind}");
        for _ in 0..1000 {
            reader.feed(b"\x00");
            assert!(!matches!(reader.next(), Ok(Step::Entry(_) | Step::End(_))), "{kind}");
        }
        assert!(reader.window.capacity() < 10_000, "{kind}");
        assert!(reader.end_of_input().is_err());
    }
}

#[test]
fn the_window_keeps_what_is_unread_alone() {
    let entry = string_entry("key", &"value, and a longer one ".repeat(3));
    let mut reader = FileReader::new(Limits::default());
    reader.feed(b"REDIS0011");
    for _ in 0..1000 {
        reader.feed(&entry);
        assert!(matches!(reader.next(), Ok(Step::Entry(_))));
        assert!(matches!(reader.next(), Ok(Step::NeedMore)));
    }
    assert!(reader.window.capacity() < 8 * entry.len());
}
