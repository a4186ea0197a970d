mod engine;
mod error;
mod histogram;
mod keys;
mod os;
mod proc;
mod random;
mod reply;
mod request;
mod workload;
fn main() {}
