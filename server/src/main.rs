//! The binary: reads the configuration, starts a node, and waits for the signal to leave.

use larder::node::{Node, Options};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // TEMP until config
    if std::env::args().any(|a| a == "--version") { println!("Larder server v=0.1.0"); return; }
    let args: Vec<String> = std::env::args().collect();
    let get = |n: &str, d: &str| args.iter().position(|a| a == n).map_or(d.to_string(), |i| args[i + 1].clone());
    let port: u16 = get("--port", "6379").parse().unwrap();
    let workers: usize = get("--workers", "1").parse().unwrap();
    let node = Node::start(Options {
        addresses: vec![([127, 0, 0, 1], port).into()],
        backlog: 511,
        workers,
        store: Default::default(),
        live: Default::default(),
        apply: Box::new(|_| ()),
    });
    match node {
        Ok(node) => node.wait(),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
