//! Sessions of sorted sets, as a Redis server answers them.
#[test]
fn dump() {
    let mut desk = crate::command::testing::Desk::new();
    let mut out = String::new();
    for line in std::fs::read_to_string("/tmp/zs/in").unwrap().lines() {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        if line == "HELLO 3" {
            desk.set_protocol(3);
            continue;
        }
        if line == "HELLO 2" {
            desk.set_protocol(2);
            continue;
        }
        let seen = desk.run(line);
        out += &format!("{line}  =>  {}\n", seen.trim_end().replace("\r\n", " "));
    }
    std::fs::write("/tmp/zs/out", out).unwrap();
}
