//! The program as people and service managers see it: how it starts, what it prints, and how it leaves.

use larder_client::resp::Reply;
use larder_tests::{Launch, load, wait_until};
use std::net::TcpListener;

const LIMITS_BEFORE_LOGIN: [(&str, &str); 2] = [
    ("*11\r\n", "ERR Protocol error: unauthenticated multibulk length"),
    ("*2\r\n$3\r\nGET\r\n$16385\r\n", "ERR Protocol error: unauthenticated bulk length"),
];

/// Runs the program, expects it to refuse, and returns what it says.
#[track_caller]
fn refused(launch: Launch) -> String {
    let ended = launch.run();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(ended.stdout, "", "mistakes are for the error output");
    ended.stderr
}

/// Runs the program, expects it to succeed, and returns what it prints.
#[track_caller]
fn printed(args: &str) -> String {
    let ended = Launch::new().args(args).run();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{args}: {ended:?}");
    ended.stdout
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// A launch on its free port that saves nothing.
fn launch() -> Launch {
    let launch = Launch::new();
    let port = launch.port();
    launch.args(&format!("--port {port}"))
}

#[test]
fn the_log_says_where_and_with_what_a_node_runs() {
    let launch = launch().args("--workers 2 --maxmemory 64mb --maxmemory-policy allkeys-lfu");
    let port = launch.port();
    let node = launch.node();
    let address = format!("127.0.0.1:{port}");
    has(&node.log(), &["ready", &address, "64 MiB", "allkeys-lfu", "workers=2", env!("CARGO_PKG_VERSION")]);
}

#[test]
fn versions_and_help_are_printed() {
    for flag in ["--version", "-v"] {
        has(&printed(flag), &["Larder", env!("CARGO_PKG_VERSION")]);
    }
    let help = printed("--help");
    for name in ["--port", "--bind", "--workers", "--maxmemory", "--requirepass", "appendonly"] {
        has(&help, &[name]);
    }
    has(&help, &["seconds", "[default: 6379", "config"]);
}

#[test]
fn settings_are_explained() {
    let all = printed("config explain");
    has(&all, &["[network]", "port", "6379", "maxmemory-policy", "allkeys-larder", "default"]);
    let one = printed("--port 7777 config explain port");
    has(&one, &["7777", "--port", "LARDER_PORT", "1 to 65535"]);
    let json = printed("config explain timeout --json");
    has(&json, &[r#""name":"timeout""#, r#""unit":"seconds""#, r#""default":"0""#]);
    let all = printed("config explain --json");
    assert!(all.trim_start().starts_with('[') && all.trim_end().ends_with(']'), "{all}");
}

#[test]
fn explaining_names_where_a_value_is_from_and_hides_passwords() {
    let launch =
        Launch::new().file("node.toml", "[clients]\nmaxclients = 77\n[security]\nrequirepass = \"hush-hush\"\n");
    let ended = launch.env("LARDER_TIMEOUT", "9").args("node.toml config explain").run();
    assert!(ended.status.success(), "{ended:?}");
    let line = |name: &str| {
        let line = ended.stdout.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name} in {}", ended.stdout)).to_owned()
    };
    has(&line("maxclients"), &["77", "node.toml:2"]);
    has(&line("timeout"), &["9 seconds", "LARDER_TIMEOUT"]);
    assert!(!ended.stdout.contains("hush-hush"), "{}", ended.stdout);
}

#[test]
fn a_toml_file_configures_a_node() {
    let launch = Launch::new();
    let text =
        format!("[network]\nport = {}\n[clients]\nmaxclients = 100\n[memory]\nmaxmemory = \"10mb\"\n", launch.port());
    let mut node = launch.file("node.toml", text).args("node.toml").node();
    node.check("CONFIG GET maxclients", r#"["maxclients", "100"]"#);
    node.check("CONFIG GET maxmemory", r#"["maxmemory", "10485760"]"#);
    node.check("CONFIG SET maxclients 200", "OK");
    node.check("CONFIG REWRITE", "OK");
    let written = std::fs::read_to_string(node.folder().join("node.toml")).unwrap();
    has(&written, &["maxclients = 200", "10mb"]);
}

#[test]
fn a_redis_conf_configures_a_node() {
    let launch = Launch::new();
    let text = format!(
        "# from before\nport {}\nbind 127.0.0.1\nsave 900 1\nappendonly yes\nmaxmemory 10mb\nmaxmemory-policy allkeys-lru\n\
         io-threads 4\nclient-output-buffer-limit normal 1mb 512kb 10\n",
        launch.port()
    );
    let mut node = launch.file("redis.conf", text).args("redis.conf --maxclients 50").node();
    node.check("CONFIG GET maxmemory-policy", r#"["maxmemory-policy", "allkeys-lru"]"#);
    node.check("CONFIG GET maxclients", r#"["maxclients", "50"]"#);
    node.check_matches(
        "CONFIG GET client-output-buffer-limit",
        r#"["client-output-buffer-limit", "normal 1048576 524288 10 *"]"#,
    );
    let log = node.log();
    has(&log, &["redis.conf:5", "'appendonly' is accepted but has no effect", "workers=4"]);
    assert_eq!(log.matches("'appendonly'").count(), 1, "once is enough:\n{log}");
    node.check("CONFIG GET save", r#"["save", "900 1"]"#);
}

#[test]
fn environment_variables_configure_a_node_and_flags_go_before_them() {
    let launch = Launch::new();
    let port = launch.port().to_string();
    let mut node =
        launch.env("LARDER_PORT", &port).env("LARDER_MAXCLIENTS", "60").env("LARDER_HZ", "20").args("--hz 30").node();
    node.check("CONFIG GET maxclients", r#"["maxclients", "60"]"#);
    node.check("CONFIG GET hz", r#"["hz", "30"]"#);
}

#[test]
fn wrong_settings_are_named_with_their_place_and_what_is_allowed() {
    let toml = "[network]\nprot = 1\nport = \"x\"\n[memory]\nmaxmemory-policy = \"allkeys-lur\"\n";
    let said = refused(Launch::new().file("node.toml", toml).args("node.toml"));
    has(&said, &["node.toml:2", "prot", "did you mean port?"]);
    has(&said, &["node.toml:3", "'x'", "1 to 65535"]);
    has(&said, &["node.toml:5", "allkeys-lur", "allkeys-larder", "noeviction"]);
    let conf = "port 7000\nmaxmemroy 10mb\ntimeout abc\n";
    let said = refused(Launch::new().file("redis.conf", conf).args("redis.conf"));
    has(&said, &["redis.conf:2", "did you mean maxmemory?", "redis.conf:3", "'abc'", "seconds"]);
    let said = refused(Launch::new().args("--prot 7000"));
    has(&said, &["--prot", "did you mean --port?"]);
    let said = refused(Launch::new().args("--workers 0"));
    has(&said, &["--workers", "'0'", "1 to 1024"]);
    let said = refused(Launch::new().env("LARDER_PORT", "many"));
    has(&said, &["LARDER_PORT", "'many'", "1 to 65535"]);
    let said = refused(Launch::new().args("absent.toml"));
    has(&said, &["absent.toml", "cannot read"]);
    let said = refused(Launch::new().file("node.toml", "[network\nport = 1\n").args("node.toml"));
    has(&said, &["node.toml:1"]);
    let said = refused(Launch::new().args("config explain prot"));
    has(&said, &["prot", "did you mean port?"]);
}

#[test]
fn folders_and_log_files_that_cannot_be_used_are_named() {
    let said = refused(launch().args("--dir absent/folder"));
    has(&said, &["absent/folder", "--data-dir"]);
    let said = refused(launch().args("--logfile absent/server.log"));
    has(&said, &["absent/server.log", "--logfile"]);
}

#[test]
fn a_taken_port_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let said = refused(Launch::new().args(&format!("--port {} --bind 127.0.0.1", address.port())));
    has(&said, &[&address.to_string(), "taken", "--port"]);
}

#[test]
fn signals_end_a_node_once_what_is_in_flight_is_answered() {
    const GETS: usize = 20_000;
    for signal in ["TERM", "INT"] {
        let mut node = launch().args("--workers 2").node();
        let value = "x".repeat(1000);
        node.check(&format!("SET k {value}"), "OK");
        let mut busy: Vec<_> = (0..4).map(|_| node.connect()).collect();
        let wire = load::requests(GETS, |_| vec!["GET", "k"]);
        std::thread::scope(|scope| {
            // The requests are on their way when the signal comes, and some are not read by the node yet.
            for client in &mut busy {
                client.send_raw(&wire);
            }
            node.signal(signal);
            for client in &mut busy {
                scope.spawn(|| {
                    for _ in 0..GETS {
                        client.expect(&value);
                    }
                    client.expect_closed();
                });
            }
        });
        assert_eq!(node.wait_for_exit().code(), Some(0));
        has(&node.log(), &[&format!("SIG{signal}"), "stopped"]);
    }
}

#[test]
fn a_client_that_waits_does_not_hold_up_the_end() {
    let mut node = launch().node();
    let mut paused = node.connect();
    node.check("CLIENT PAUSE 100000 WRITE", "OK");
    let id = paused.int("CLIENT ID");
    paused.send("SET k v");
    wait_until("the request is there", || node.text(&format!("CLIENT LIST ID {id}")).contains("qbuf=27"));
    let start = std::time::Instant::now();
    node.terminate();
    assert_eq!(node.wait_for_exit().code(), Some(0));
    assert!(start.elapsed().as_secs() < 5, "leaving took {:?}", start.elapsed());
}

#[test]
fn shutdown_leaves_with_success() {
    for command in ["SHUTDOWN NOSAVE", "SHUTDOWN", "SHUTDOWN NOW FORCE"] {
        let mut node = launch().node();
        node.send(command);
        node.expect_closed();
        assert_eq!(node.wait_for_exit().code(), Some(0), "{command}");
    }
}

#[test]
fn habits_from_redis_server_are_kept() {
    let launch = Launch::new();
    let (port, folder) = (launch.port(), launch.folder().to_str().unwrap().to_owned());
    // `--data-dir` is what Larder itself calls `--dir`.
    let flags = format!("--save '' --appendonly no --dir {folder} --requirepass secret --port {port} --bind 127.0.0.1");
    let mut node = launch.args(&flags).node();
    node.check("PING", "NOAUTH Authentication required.");
    node.check("AUTH wrong", "WRONGPASS invalid username-password pair or user is disabled.");
    node.check("AUTH secret", "OK");
    node.check("CONFIG GET dir", &format!(r#"["dir", "{folder}"]"#));
    node.check("CONFIG GET save", r#"["save", ""]"#);
}

#[test]
fn a_log_file_takes_the_log() {
    let node = launch().args("--logfile node.log").node();
    let log = node.folder().join("node.log");
    wait_until("the log is written", || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("ready")));
    assert_eq!(node.log(), "", "nothing goes to standard output then");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains('\x1b'), "colours are for terminals: {text:?}");
}

#[test]
fn a_password_guards_everything_from_the_first_byte() {
    let mut node = launch().args("--requirepass secret").node();
    for command in ["GET k", "INFO", "CONFIG GET *", "FLUSHALL", "CLIENT LIST", "SHUTDOWN NOSAVE", "MONITOR", "COMMAND"]
    {
        node.check(command, "NOAUTH Authentication required.");
    }
    node.check("HELLO 3", "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time");
    for (bytes, text) in LIMITS_BEFORE_LOGIN {
        let mut stranger = node.connect();
        stranger.send_raw(bytes);
        stranger.expect(text);
        stranger.expect_closed();
    }
    node.check("AUTH default secret", "OK");
    let words: Vec<_> = std::iter::once("MSET".into()).chain((0..40).map(|number| format!("word:{number}"))).collect();
    assert_eq!(node.call_words(&words), Reply::Simple("OK".into()));
    let long = vec![b'x'; 100_000];
    assert_eq!(node.call_words(&[&b"SET"[..], b"k", &long]), Reply::Simple("OK".into()));
    // A pipeline may log in on its way.
    let mut client = node.connect();
    client.send_raw("GET word:0\r\nAUTH secret\r\nGET word:0\r\n");
    client.expect("NOAUTH Authentication required.");
    client.expect("OK");
    client.expect("word:1");
}

#[test]
fn the_limit_of_open_files_is_raised_for_the_clients() {
    let node = launch().args("--maxclients 5000").node();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", node.process_id()));
    let Ok(limits) = limits else { return };
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the kernel tells all limits");
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [soft, hard] = numbers[..] else { panic!("{line}") };
    assert!(soft >= hard.min(5000 + 32), "{line}");
}
