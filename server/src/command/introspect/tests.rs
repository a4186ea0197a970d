//! Sessions about commands.

use crate::command::table;
use crate::command::testing::Desk;

const UNKNOWN: &str = "-ERR Invalid command specified";

#[test]
fn a_command_is_told_in_ten_elements() {
    let mut desk = Desk::new();
    desk.check(
        "COMMAND INFO get nosuch",
        "*2 *10 $3 get :2 *2 +readonly +fast :1 :1 :1 *3 +@read +@string +@fast *0 *1 *6 $5 flags *2 +RO +access $12 \
         begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 $9 find_keys *4 $4 type $5 range $4 spec *6 $7 \
         lastkey :0 $7 keystep :1 $5 limit :0 *0 $-1",
    );
    desk.check(
        "COMMAND INFO CLIENT|KILL client|nosuch get|x",
        "*3 *10 $11 client|kill :-3 *4 +admin +noscript +loading +stale :0 :0 :0 *4 +@admin +@slow +@dangerous \
         +@connection *0 *0 *0 $-1 $-1",
    );
    desk.run("HELLO 3");
    desk.check(
        "COMMAND INFO echo nosuch",
        "*2 *10 $4 echo :2 ~3 +loading +stale +fast :0 :0 :0 ~2 +@fast +@connection ~0 ~0 ~0 _",
    );
}

#[test]
fn all_commands_are_told() {
    let mut desk = Desk::new();
    let count = table::all().len();
    assert!(desk.run("COMMAND").starts_with(&format!("*{count}\r\n*10\r\n")));
    assert_eq!(desk.run("COMMAND INFO"), desk.run("COMMAND"));
    desk.check("COMMAND COUNT", &format!(":{count}"));
    desk.check("COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command");
    desk.check("COMMAND foo", "-ERR unknown subcommand 'foo'. Try COMMAND HELP.");
    assert!(desk.run("COMMAND HELP").contains("+(no subcommand)\r\n"));
}

#[test]
fn names_are_listed_by_filter() {
    let mut desk = Desk::new();
    assert!(desk.run("COMMAND LIST").starts_with(&format!("*{}\r\n", table::each().count())));
    desk.check("COMMAND LIST FILTERBY PATTERN CLIENT|no-*", "*2 $15 client|no-evict $15 client|no-touch");
    desk.check("command list filterby pattern ech[o]", "*1 $4 echo");
    desk.check("COMMAND LIST FILTERBY MODULE x", "*0");
    desk.check("COMMAND LIST FILTERBY ACLCAT nosuch", "*0");
    let fast = desk.run("COMMAND LIST FILTERBY ACLCAT Connection");
    assert!(fast.contains("\r\nping\r\n") && fast.contains("\r\ncommand\r\n") && !fast.contains("\r\nget\r\n"));
    assert!(!fast.contains("\r\nclient\r\n"), "a container is in no category of its group");
    for line in ["COMMAND LIST x", "COMMAND LIST FILTERBY ACLCAT", "COMMAND LIST FILTERBY foo x"] {
        desk.check(line, "-ERR syntax error");
    }
}

#[test]
fn documentation_is_a_map() {
    let mut desk = Desk::new();
    desk.check("COMMAND DOCS nosuch", "*0");
    desk.run("HELLO 3");
    desk.check(
        "COMMAND DOCS CLIENT|PAUSE nosuch",
        "%1 $12 client|pause %5 $7 summary $84 Holds back the commands of all connections for a time, or only those \
         that may write. $5 since $5 3.0.0 $5 group $10 connection $10 complexity $4 O(1) $9 arguments *2 %3 $4 name \
         $7 timeout $4 type $7 integer $12 display_text $7 timeout %5 $4 name $4 mode $4 type $5 oneof $5 since $5 \
         6.2.0 $5 flags ~1 +optional $9 arguments *2 %4 $4 name $5 write $4 type $10 pure-token $12 display_text $5 \
         write $5 token $5 WRITE %4 $4 name $3 all $4 type $10 pure-token $12 display_text $3 all $5 token $3 ALL",
    );
    let quit = desk.run("COMMAND DOCS quit");
    assert!(
        quit.contains("$9\r\ndoc_flags\r\n~1\r\n+deprecated\r\n$16\r\ndeprecated_since\r\n$5\r\n7.2.0\r\n"),
        "{quit}"
    );
    let get = desk.run("COMMAND DOCS get");
    assert!(get.contains("$12\r\ndisplay_text\r\n$3\r\nkey\r\n$14\r\nkey_spec_index\r\n:0\r\n"), "{get}");
    let container = desk.run("COMMAND DOCS command");
    assert!(container.contains("$11\r\nsubcommands\r\n%7\r\n$13\r\ncommand|count\r\n%4\r\n"), "{container}");
    assert!(desk.run("COMMAND DOCS").starts_with(&format!("%{}\r\n", table::all().len())));
}

#[test]
fn keys_are_found_among_the_words() {
    let mut desk = Desk::new();
    desk.check("COMMAND GETKEYS GET a", "*1 $1 a");
    desk.check("COMMAND GETKEYSANDFLAGS get a", "*1 *2 $1 a *2 +RO +access");
    desk.check("COMMAND GETKEYS nosuch a", UNKNOWN);
    desk.check("COMMAND GETKEYS CLIENT nosuch", UNKNOWN);
    desk.check("COMMAND GETKEYS CLIENT", "-ERR The command has no key arguments");
    desk.check("COMMAND GETKEYS ping", "-ERR The command has no key arguments");
    desk.check("COMMAND GETKEYS get", "-ERR Invalid number of arguments specified for command");
    for wrong in
        ["SINTERCARD 0 a LIMIT", "LMPOP 5 a LEFT", "ZUNIONSTORE to 0 a", "BLMPOP x x a LEFT", "XREAD COUNT 2 a 0"]
    {
        desk.check(&format!("COMMAND GETKEYS {wrong}"), "-ERR Invalid arguments specified for command");
    }
    desk.check("COMMAND GETKEYS", "-ERR wrong number of arguments for 'command|getkeys' command");
}
